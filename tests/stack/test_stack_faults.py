"""What goes wrong around the stack: one clear message each, and what was running goes on."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from passerelle.doctor import object_storage
from passerelle.doctor.diagnosis import Health
from passerelle.settings import S3Settings
from tests.stack.stack_fixtures import StackForTests, refused
from tests.unit.doctor.surroundings import surroundings

pytestmark = [pytest.mark.integration, pytest.mark.engine, pytest.mark.timeout(900)]


def test_a_secret_that_goes_missing_stops_nothing(served: StackForTests) -> None:
    def ids() -> dict[str, str]:
        return {name: held["Id"] for name, held in served.inspected().items() if held["State"]["Running"]}

    before = ids()
    for name, said in (("s3_mlflow", "is missing"), ("postgres_password", "opens with no other")):
        path = served.folder / "deploy" / "secrets" / name
        held = path.read_text()
        path.unlink()
        try:
            assert said in refused(served, *(("up", "--target", "compose") if name == "postgres_password" else ()))
            assert not path.exists()
        finally:
            path.write_text(held)
            path.chmod(0o444)
        assert (ids(), served.ask().status_code) == (before, 200)


def test_a_port_that_is_taken(served: StackForTests) -> None:
    before = {name: held["Id"] for name, held in served.inspected().items() if held["State"]["Running"]}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused(served, "up", "--target", "compose", "--no-model", PROMETHEUS_PORT=str(port))
    assert f"the port {port} is taken" in said
    assert "PROMETHEUS_PORT" in said
    after = {name: held["Id"] for name, held in served.inspected().items() if held["State"]["Running"]}
    assert {name: before[name] for name in before if name != "prometheus"} == {
        name: after.get(name) for name in before if name != "prometheus"
    }
    assert served.ask().status_code == 200
    served.compose("up", "--detach", "--wait")


def test_a_wrong_s3_key(served: StackForTests) -> None:
    assert "refuses these keys" in refused(served, "status", AWS_SECRET_ACCESS_KEY="wrong")
    said = served.run("docker", "compose", "-f", "deploy/compose.yaml", "run", "--rm", "--no-deps", "-e", "MINIO_ROOT_USER=nobody", "setup")
    assert said.returncode == 1
    assert "refuses the key nobody" in said.stdout + said.stderr
    assert served.ask().status_code == 200


def server(stack: StackForTests, *variables: str, code: str = "") -> str:
    """Return what a MLflow container said that ended by itself, or that ran this code in the server's place."""
    given = [part for variable in variables for part in ("-e", variable)]
    entrypoint = ["--entrypoint", "python3"] if code else []
    arguments = ["run", "--rm", "--no-deps", "-T", *given, *entrypoint, "mlflow", *(["-c", code] if code else [])]
    said = stack.run("docker", "compose", "-f", "deploy/compose.yaml", *arguments)
    assert "Traceback" not in said.stdout + said.stderr, said.stdout + said.stderr
    return said.stdout + said.stderr


PSQL = ("exec", "-T", "postgres", "psql", "--username", "mlflow", "--tuples-only", "--no-align", "--dbname")
OLD_SCHEMA = """
import sys; sys.path.insert(0, "/app")
import os, start
os.environ["PGPASSFILE"] = start.written("pgpass", f"*:*:*:*:{start.secret('POSTGRES_PASSWORD')}\\n")
import sqlalchemy
from alembic import command
from alembic.script import ScriptDirectory
from mlflow.store.db.utils import _get_alembic_config
from mlflow.store.tracking.dbmodels.initial_models import Base
engine = sqlalchemy.create_engine(start.URI)
Base.metadata.create_all(engine)
config = _get_alembic_config(start.URI)
command.upgrade(config, list(ScriptDirectory.from_config(config).walk_revisions())[3].revision)
"""


def test_an_older_schema_is_brought_up_to_date_once(served: StackForTests) -> None:
    served.compose(*PSQL, "postgres", "--command", "CREATE DATABASE older OWNER mlflow_server")
    server(served, "POSTGRES_DB=older", code=OLD_SCHEMA)
    version = "SELECT version_num FROM alembic_version"
    old = served.compose(*PSQL, "older", "--command", version).strip()
    head = served.compose(*PSQL, "mlflow", "--command", version).strip()
    assert old != head
    said = server(served, "POSTGRES_DB=older", code="import sys; sys.path.insert(0, '/app')\nimport os, start\n" + MIGRATE)
    assert f"from {old} to {head}" in said
    assert served.compose(*PSQL, "older", "--command", version).strip() == head
    again = server(served, "POSTGRES_DB=older", code="import sys; sys.path.insert(0, '/app')\nimport os, start\n" + MIGRATE)
    assert "bringing" not in again


MIGRATE = """
os.environ["PGPASSFILE"] = start.written("pgpass", f"*:*:*:*:{start.secret('POSTGRES_PASSWORD')}\\n")
with start.alone() as cursor:
    start.migrate(cursor)
"""


NEWER = "INSERT INTO alembic_version VALUES ('f00d')"


def test_a_newer_schema_is_refused(served: StackForTests) -> None:
    served.compose(*PSQL, "postgres", "--command", "CREATE DATABASE newer OWNER mlflow_server")
    served.compose(*PSQL, "newer", "--command", "SET ROLE mlflow_server; CREATE TABLE alembic_version (version_num varchar(32)); " + NEWER)
    assert "newer than this MLflow knows" in server(served, "POSTGRES_DB=newer")


def test_postgresql_that_is_down_at_start(served: StackForTests) -> None:
    said = server(served, "POSTGRES_HOST=127.0.0.1", "POSTGRES_WAIT_S=2")
    assert "waiting for PostgreSQL" in said
    assert "did not answer within 2 s" in said


def test_a_wrong_password_of_postgresql(served: StackForTests) -> None:
    assert "refuses the password" in server(served, "POSTGRES_PASSWORD_FILE=/run/secrets/mlflow_flask_key")


def test_doctor_finds_nothing_wrong_with_the_bucket_and_the_key_of_the_workbench(stack: StackForTests, tmp_path: Path) -> None:
    own = {"AWS_ACCESS_KEY_ID": "workbench", "AWS_SECRET_ACCESS_KEY": stack.secret("s3_workbench"), "PASSERELLE_S3_BUCKET": "passerelle"}
    environment = {**stack.environment, **own, "PASSERELLE_LOG_BUCKET": "passerelle-predictions"}
    here = surroundings(tmp_path, s3=S3Settings.read(environment), environment=environment, write_test=True)
    assert [each for each in object_storage.probe(here) if each.health is not Health.FINE] == []
