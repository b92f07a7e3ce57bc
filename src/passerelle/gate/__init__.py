"""The gate: challenger and champion are scored again on rows that neither learned from, and every check must pass."""
