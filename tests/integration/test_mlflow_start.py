"""Servers of the stack's MLflow that start at the same time on one empty PostgreSQL: one makes the schemas, the others wait for it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from passerelle.bentos.engine import inspect
from tests.engine_fixtures import ROOT, stack_image

pytestmark = [pytest.mark.integration, pytest.mark.engine, pytest.mark.timeout(600)]
MLFLOW = stack_image("mlflow")
POSTGRES = os.environ.get("POSTGRES_IMAGE", "postgres:17-trixie")
START = """
import sys; sys.path.insert(0, "/app")
import os, start
os.environ["PGPASSFILE"] = start.written("pgpass", "*:*:*:*:secret\\n")
os.environ["MLFLOW_AUTH_CONFIG_PATH"] = start.authentication()
with start.alone() as cursor:
    start.migrate(cursor)
    start.keep_accounts()
"""

PREPARE = """
import sys; sys.path.insert(0, "/app")
import prepare_postgres
prepare_postgres.prepare_role()
"""


@dataclass
class Database:
    """An empty PostgreSQL, whose network the servers share."""

    engine: str
    container: str
    folder: Path

    def server(self, password: str = "a-long-password", code: str = START, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run what stands for the server's start, or for the job before it; every secret that it is given is the password."""
        secret = self.folder / f"password-{time.monotonic_ns()}"
        secret.write_text(password)
        secret.chmod(0o644)
        mounts = {
            f"{ROOT}/deploy/mlflow/start.py": "/app/start.py",
            f"{ROOT}/deploy/mlflow/secret.py": "/app/secret.py",
            f"{ROOT}/deploy/mlflow/prepare_postgres.py": "/app/prepare_postgres.py",
            str(secret): "/password",
        }
        given = {"POSTGRES_HOST": "127.0.0.1", "MLFLOW_ADMIN_PASSWORD_FILE": "/password", **variables}
        command = [
            self.engine, "run", "--rm", "--network", f"container:{self.container}", "--read-only", "--cap-drop", "ALL", "--tmpfs", "/tmp",  # noqa: S108 - in the container
            *(part for each in given.items() for part in ("--env", "=".join(each))),
            *(part for source, target in mounts.items() for part in ("--volume", f"{source}:{target}:ro")),
            "--entrypoint", "python3", MLFLOW, "-c", code,
        ]  # fmt: skip
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)

    def ask(self, question: str) -> str:
        psql = ("psql", "--username", "mlflow", "--dbname", "mlflow", "--tuples-only", "--no-align", "--command", question)
        done = subprocess.run([self.engine, "exec", self.container, *psql], capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.strip()


@pytest.fixture
def database(engine: str, tmp_path: Path) -> Iterator[Database]:
    if inspect(engine, MLFLOW) is None or inspect(engine, POSTGRES) is None:
        pytest.skip(f"needs the images {MLFLOW} and {POSTGRES}: docker compose -f deploy/compose.yaml build")
    tmp_path.chmod(0o755)
    given = [
        part
        for name, value in (("USER", "mlflow"), ("DB", "mlflow"), ("PASSWORD", "secret"))
        for part in ("--env", f"POSTGRES_{name}={value}")
    ]
    started = subprocess.run([engine, "run", "--detach", *given, POSTGRES], capture_output=True, text=True, check=True, timeout=120)
    container = started.stdout.strip()
    try:
        yield Database(engine, container, tmp_path)
    finally:
        subprocess.run([engine, "rm", "--force", "--volumes", container], capture_output=True, check=False, timeout=60)


def test_servers_that_start_together_make_the_schemas_once(database: Database) -> None:
    with ThreadPoolExecutor(3) as pool:
        said = list(pool.map(lambda _: database.server(), range(3)))
    assert [each.returncode for each in said] == [0, 0, 0], "\n".join(each.stderr[-1500:] for each in said)
    assert sum("bringing the schema of mlflow from nothing to" in each.stderr for each in said) == 1
    assert database.ask("SELECT count(*) FROM alembic_version") == "1"
    assert database.ask("SELECT count(*) FROM alembic_version_auth") == "1"
    assert database.ask("SELECT username, is_admin FROM users") == "admin|t"
    changed = database.server("another-long-password")
    assert (changed.returncode, "admin has the password of the secret now" in changed.stderr) == (0, True), changed.stderr
    assert "bringing" not in changed.stderr


def test_what_the_superuser_made_becomes_the_servers_own(database: Database) -> None:
    former = database.server()
    assert former.returncode == 0, former.stderr
    secrets = {"POSTGRES_PASSWORD_FILE": "/password", "POSTGRES_MLFLOW_FILE": "/password"}
    for _ in range(2):
        done = database.server("secret", PREPARE, **secrets)
        assert done.returncode == 0, done.stderr
    assert (
        database.ask(
            "SELECT count(*) > 30, count(*) FILTER (WHERE tableowner <> 'mlflow_server') FROM pg_tables WHERE schemaname = 'public'"
        )
        == "t|0"
    )
    assert database.ask("SELECT DISTINCT sequenceowner FROM pg_sequences WHERE schemaname = 'public'") == "mlflow_server"
    own = database.server(POSTGRES_USER="mlflow_server")
    assert (own.returncode, "bringing" in own.stderr) == (0, False), own.stderr
    refused = database.server(POSTGRES_USER="mlflow_server", code=START.replace("secret", "another"), POSTGRES_WAIT_S="2")
    assert "the setup job sets it anew" in refused.stderr
