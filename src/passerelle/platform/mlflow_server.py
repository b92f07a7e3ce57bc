"""The MLflow server: runs and versions in SQLite, artifacts straight to S3."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from passerelle.platform.child import Child
from passerelle.platform.ports import free_ports
from passerelle.settings import S3Settings


def s3_environment(s3: S3Settings) -> dict[str, str]:
    """Return the variables by which MLflow and boto3 reach the S3 server."""
    values = {
        "MLFLOW_S3_ENDPOINT_URL": s3.endpoint_url,
        "AWS_ENDPOINT_URL_S3": s3.endpoint_url,
        "AWS_ACCESS_KEY_ID": s3.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3.secret_access_key.get_secret_value() if s3.secret_access_key else None,
        "AWS_DEFAULT_REGION": s3.region,
    }
    return {name: value for name, value in values.items() if value is not None}


def mlflow_server(folder: Path, logs: Path, s3: S3Settings) -> tuple[Child, str]:
    """Return the MLflow server that keeps its store in `folder`, not yet started, and its address."""
    (port,) = free_ports(1)
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}",
        "--default-artifact-root", f"s3://{s3.bucket}/mlflow", "--no-serve-artifacts",
    ]  # fmt: skip
    # Job execution is for features that passerelle does not use, and takes 1.2 GiB.
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "_MLFLOW_", "AWS_"))}
    address = f"http://127.0.0.1:{port}"
    child = Child(
        "the MLflow server", command, inherited | quiet | s3_environment(s3), logs / "mlflow.log", f"{address}/health", cwd=folder
    )
    return child, address
