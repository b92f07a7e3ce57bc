"""The model in every stage: its record, its files, its golden predictions, its lineage, and the model once it is loaded."""
