"""MLflow's registry: compare, gate, register, promote and roll back, with the ledger."""
