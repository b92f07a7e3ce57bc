"""From a fitted scikit-learn pipeline to a compiled scorer, or to the part that stands in its way."""
