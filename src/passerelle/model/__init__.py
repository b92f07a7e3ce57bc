"""What a model is wherever it goes: its record, its files, its golden predictions, its lineage, and the model once it is loaded."""
