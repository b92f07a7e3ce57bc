"""From a fitted scikit-learn pipeline to a compiled scorer, or to the part that prevents it."""
