"""One module a flavor of MLflow: what its files say, and how the model is loaded."""
