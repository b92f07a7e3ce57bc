"""What goes wrong around the stack: one clear message each, and what was running goes on."""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from passerelle.rollout.secret_files import NAMES, make_secrets
from tests.stack.stack_fixtures import StackForTests, copied, removed_at_the_end, until

pytestmark = [pytest.mark.integration, pytest.mark.engine, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def bare(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackForTests]:
    """A copy of the project, nothing started."""
    assert engine
    with removed_at_the_end(copied(tmp_path_factory.mktemp("bare"), "passerelle-test-bare")) as made:
        make_secrets(made.folder / "deploy" / "secrets")
        yield made


def refused(stack: StackForTests, *arguments: str, **variables: str) -> str:
    """Return the message of a command that must fail without a stack trace."""
    said = stack.run("passerelle", *(arguments or ("deploy", "--target", "compose")), variables=variables)
    assert said.returncode in (2, 3), said.stdout + said.stderr
    assert "Traceback" not in said.stderr
    assert "  next: " in said.stderr
    return said.stderr


def with_docker(folder: Path, script: str, environment: dict[str, str]) -> dict[str, str]:
    """Put another `docker` in front of the real one."""
    folder.mkdir()
    (folder / "docker").write_text(f'#!/bin/bash\n{script}\nexec {shutil.which("docker")} "$@"\n')
    (folder / "docker").chmod(0o755)
    return {"PATH": f"{folder}:{environment['PATH']}"}


def test_no_engine(bare: StackForTests, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("passerelle", "python", "git", "bash"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name, path=bare.environment["PATH"]) or name)
    assert "no container engine is installed" in refused(bare, PATH=str(tmp_path / "bin"))


def test_an_engine_without_rights(bare: StackForTests, tmp_path: Path) -> None:
    script = 'echo "permission denied while trying to connect to the Docker daemon socket" >&2; exit 1'
    assert "may not talk to docker" in refused(bare, **with_docker(tmp_path / "bin", script, bare.environment))


def test_compose_that_is_too_old(bare: StackForTests, tmp_path: Path) -> None:
    script = 'if [ "$1 $2 $3" = "compose version --short" ]; then echo 2.10.2; exit; fi'
    said = refused(bare, **with_docker(tmp_path / "bin", script, bare.environment))
    assert "docker compose is 2.10.2; the stack needs 2.20 or newer" in said


@pytest.mark.parametrize("name", ["postgres_password", "s3_service"])
def test_a_secret_that_is_missing_empty_or_everybodys(bare: StackForTests, name: str) -> None:
    path = bare.folder / "deploy" / "secrets" / name
    held = path.read_text()
    path.unlink()
    assert f"{name} is missing" in refused(bare)
    path.write_text("\n")
    assert f"{name} is empty" in refused(bare)
    path.write_text(held)


def test_a_secret_that_everybody_reads(engine: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert engine
    root = Path("/var/tmp") / f"passerelle-open-{os.getpid()}"  # noqa: S108 - pytest's own folder is closed to others
    try:
        open_to_all = copied(root, "passerelle-test-open")
        root.chmod(0o755)
        secrets = root / "deploy" / "secrets"
        make_secrets(secrets)
        secrets.chmod(0o755)
        said = refused(open_to_all)
        assert f"{NAMES[0]} can be read by everybody" in said
        assert f"chmod 700 {secrets}" in said
    finally:
        shutil.rmtree(root, ignore_errors=True)


def test_a_secret_that_goes_missing_stops_nothing(served: StackForTests) -> None:
    def ids() -> dict[str, str]:
        return {name: held["Id"] for name, held in served.inspected().items() if held["State"]["Running"]}

    before = ids()
    for name, said in (("s3_service", "is missing"), ("postgres_password", "opens with no other")):
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


def test_a_full_minio(bare: StackForTests) -> None:
    override = bare.folder / "small.yaml"
    override.write_text("volumes: {minio: {driver_opts: {type: tmpfs, device: tmpfs, o: 'size=40m,uid=1001,gid=1001'}}}\n")
    both = ("docker", "compose", "-f", "deploy/compose.yaml", "-f", "small.yaml")
    bare.done(*both, "up", "--detach", "--wait", "mlflow", "proxy", timeout=600)
    bare.connect()
    code = (
        "import io, os\nfrom passerelle.registry.objects import Objects\nfrom passerelle.settings import S3Settings\n"
        "objects = Objects(S3Settings.read())\n"
        "for number in range(40): objects.upload(f'mlflow/{number}', io.BytesIO(os.urandom(2**20 * 4)))\n"
    )
    said = bare.run("python", "-c", code)
    assert re.search(r"OutsideError: the S3 server (is|broke off while .* as it does when its disk is) full", said.stderr), said.stderr
    until(lambda: bare.run("passerelle", "history").returncode == 0, within_s=30, what="reading goes on")


WEED = """
services:
  seaweedfs:
    build: {context: ./weed}
    image: passerelle-test/weed:1
    command: [server, -dir=/data, -s3, -s3.config=/etc/s3.json, -ip.bind=0.0.0.0, -master.volumeSizeLimitMB=64, -volume.max=20]
    networks: [platform]
    ports: ["127.0.0.1:${WEED_PORT}:8333"]
  setup: {depends_on: {seaweedfs: {condition: service_started}}}
"""
IDENTITY = (
    '{"identities": [{"name": "team", "credentials": [{"accessKey": "team", "secretKey": "%s"}],'
    ' "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}'
)


def test_another_s3_by_three_variables(engine: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    from passerelle.platform.ports import free_ports
    from passerelle.platform.seaweed import weed_binary

    assert engine
    other = copied(tmp_path_factory.mktemp("seaweed"), "passerelle-test-seaweed")
    make_secrets(other.folder / "deploy" / "secrets")
    weed = other.folder / "deploy" / "weed"
    weed.mkdir()
    shutil.copy(weed_binary(), weed / "weed")
    (weed / "s3.json").write_text(IDENTITY % "of-the-team-alone")
    (weed / "Dockerfile").write_text(
        'FROM python:3.11-slim\nCOPY weed /bin/\nCOPY s3.json /etc/\nRUN mkdir /data\nENTRYPOINT ["/bin/weed"]\n'
    )
    (other.folder / "deploy" / "weed.yaml").write_text(WEED)
    key = other.folder / "deploy" / "secrets" / "s3_team"
    key.write_text("of-the-team-alone")
    key.chmod(0o444)
    port = str(free_ports(1)[0])
    other.environment |= {
        "S3_ENDPOINT_URL": "http://seaweedfs:8333", "S3_ACCESS_KEY_ID": "team", "S3_SECRET_FILE": "./secrets/s3_team", "MINIO_SCALE": "0",
        "WEED_PORT": port, "PASSERELLE_S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }  # fmt: skip
    both = ("docker", "compose", "-f", "deploy/compose.yaml", "-f", "deploy/weed.yaml")
    with removed_at_the_end(other):
        try:
            other.done(*both, "up", "--detach", "--wait", "mlflow", "proxy", timeout=600)
            assert "minio" not in other.inspected()
            other.connect()
            assert other.environment["AWS_ACCESS_KEY_ID"] == "team"
            code = (
                "import mlflow\nmlflow.set_experiment('other')\n"
                "with mlflow.start_run() as run: mlflow.log_text('x', 'a.txt')\n"
                "print(mlflow.get_run(run.info.run_id).info.artifact_uri, mlflow.artifacts.load_text(run.info.artifact_uri + '/a.txt'))\n"
            )
            assert other.done("python", "-c", code).strip().splitlines()[-1].endswith("/artifacts x")
            assert other.run("passerelle", "status").returncode == 0
        finally:
            other.run(*both, "--profile", "*", "down", "--volumes", "--timeout", "2")
