"""Prepare the stack's storage before MLflow starts: a bucket with its users, and MLflow's role in PostgreSQL. Can be run again."""

from prepare_postgres import prepare_role
from prepare_s3 import prepare_storage

if __name__ == "__main__":
    prepare_storage()
    prepare_role()
