"""The MLflow server: runs and versions in SQLite, artifacts straight to S3."""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from passerelle.errors import OutsideError, shell_word
from passerelle.follow_settings import FollowSettings
from passerelle.platform.child import Child
from passerelle.platform.ports import free_ports
from passerelle.platform.private_file import private_key
from passerelle.proxy_variables import loopback_direct
from passerelle.settings import S3Settings


def s3_environment(s3: S3Settings) -> dict[str, str]:
    """Return the variables by which MLflow and boto3 reach the S3 server."""
    return s3.variables()


def mlflow_server(folder: Path, logs: Path, s3: S3Settings, port: int | None = None) -> tuple[Child, str]:
    """Return the MLflow server that keeps its store in `folder`, not yet started, and its address.

    Args:
        port: On loopback; None for a free one.

    Raises:
        OutsideError: The store is not a database.
    """
    port = port or free_ports(1)[0]
    database = folder / "mlflow.db"
    discard_half_made(database)
    command = [
        sys.executable, "-W", "ignore", "-m", "passerelle.platform.mlflow_process", str(port), f"sqlite:///{database}", f"s3://{s3.bucket}/mlflow",
    ]  # fmt: skip
    # Job execution is for features that passerelle does not use, and takes 1.2 GiB.
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "_MLFLOW_", "AWS_"))}
    environment = inherited | quiet | webhook_environment(folder) | loopback_direct() | s3_environment(s3)
    address = f"http://127.0.0.1:{port}"
    return Child("the MLflow server", command, environment, logs / "mlflow.log", f"{address}/health", cwd=folder), address


def webhook_environment(folder: Path) -> dict[str, str]:
    """Return MLflow's variables for webhooks: the key of their secrets, and where webhooks are on, that they may call this machine.

    Without a key of its own, MLflow makes one at each start and can no longer read the secrets in its database.
    """
    variables = {"MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": private_key(folder / "webhook_key")}
    if FollowSettings.read().follow_webhook:
        variables |= {"MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https", "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true"}
    return variables


def discard_half_made(database: Path) -> None:
    """Remove a database whose first start was killed: MLflow's migrations cannot go on from the middle.

    MLflow writes its first experiment after the last migration, so a database without any holds nothing of anybody's.

    Raises:
        OutsideError: The file is not a database; it is left as it is.
    """
    if not database.exists():
        return
    with closing(sqlite3.connect(database)) as connection:
        try:
            half_made = connection.execute("SELECT count(*) FROM experiments").fetchone() == (0,)
        except sqlite3.OperationalError as error:
            half_made = "no such table" in str(error)
        except sqlite3.DatabaseError as error:
            raise OutsideError(
                f"{database} is not a database: {error}", hint=f"mv {shell_word(database)} {shell_word(database)}.broken"
            ) from error
    if half_made:
        for suffix in ("", "-journal", "-wal", "-shm"):
            database.with_name(database.name + suffix).unlink(missing_ok=True)
