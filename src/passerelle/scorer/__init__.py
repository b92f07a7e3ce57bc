"""A fitted text pipeline turned into one that computes the same answers directly.

Most of what scikit-learn spends on one text goes into building tables and sparse matrices, not into arithmetic. `compile.compile_pipeline`
reads a fitted pipeline of vectorizers and a linear classifier and returns a scorer that looks n-grams up, counts them and adds
coefficient rows: the same probabilities within rounding, the same label always. What it cannot compute exactly it does not
compile, and says which part and why. `storage` writes a scorer to files and reads it back without scikit-learn, which is slow to import.
"""
