"""The part a team replaces: data, candidates, training; logs its runs to MLflow."""
