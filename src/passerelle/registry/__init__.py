"""MLflow's registry and its S3: versions, aliases, stages, the ledger and its lock; no policy."""
