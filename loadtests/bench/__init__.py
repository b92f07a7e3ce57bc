"""/classify next to what a user would take instead: the same model, the same load, in turn."""
