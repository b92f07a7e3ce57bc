"""Replace the database that MLflow uses by a restored one; after an interruption at any step the next call continues."""

from __future__ import annotations

import re

from passerelle.errors import OutsideError
from passerelle.rollout.stack import Stack

PSQL = ("exec", "-T", "postgres", "psql", "--username", "mlflow", "--dbname", "postgres", "--no-psqlrc", "--tuples-only", "--no-align")
#: Made by the stack's setup; owns MLflow's database.
MLFLOW_ROLE = "mlflow_server"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MARKS = "SELECT datname, coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database WHERE NOT datistemplate"
_OF = "putting the restored database in its place"


def marks(stack: Stack) -> dict[str, str]:
    """Return the databases, each with the backup that it was restored from as long as that restore has not ended.

    Raises:
        OutsideError: PostgreSQL does not answer.
    """
    done = stack.compose(*PSQL, "--command", _MARKS)
    if done.returncode != 0:
        raise OutsideError(f"PostgreSQL does not answer: {done.stderr.strip()}", hint=f"{stack.command} logs postgres")
    rows = (line.partition("|") for line in done.stdout.splitlines() if line.strip())
    return {name: mark if _DIGEST.fullmatch(mark) else "" for name, _, mark in rows}


def mark(stack: Stack, database: str, digest: str | None) -> None:
    """Write on a database which backup it is being restored from; None when that has ended. A rename keeps it."""
    text = f"'{digest}'" if digest and _DIGEST.fullmatch(digest) else "NULL"
    stack.must(*PSQL, "--command", f"COMMENT ON DATABASE {database} IS {text}", of="noting what is restored")


def swap(stack: Stack, digest: str) -> None:
    """Let MLflow use the restored database; the empty one before it is dropped. What an earlier call did is left out.

    Raises:
        OutsideError: A step fails; MLflow is started all the same, on the one database or the other.
    """
    try:
        if marks(stack).get("mlflow") != digest:
            stack.must("stop", "mlflow", of="stopping MLflow")
            _renamed(stack)
        stack.must(*PSQL, "--command", "DROP DATABASE IF EXISTS before_restore WITH (FORCE)", of=_OF)
    except BaseException:
        stack.compose("up", "--detach", "mlflow")
        raise
    stack.must("up", "--detach", "--wait", "mlflow", of="starting MLflow on the restored database")
    mark(stack, "mlflow", None)


def _renamed(stack: Stack) -> None:
    """Rename both in one transaction, so that a database of MLflow's name is there at any time."""
    statements = ["ALTER DATABASE restoring RENAME TO mlflow"]
    # Missing where a restore before this one was interrupted between two renames.
    if "mlflow" in marks(stack):
        stack.must(*PSQL, "--command", "DROP DATABASE IF EXISTS before_restore WITH (FORCE)", of=_OF)
        statements.insert(0, "ALTER DATABASE mlflow RENAME TO before_restore")
    commands = [part for statement in statements for part in ("--command", statement)]
    stack.must(*PSQL, "--single-transaction", *commands, of=_OF)
