"""Stacks of these tests' own, most of which never start: they run beside the one that all others share."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from passerelle.rollout.secret_files import NAMES, make_secrets
from tests.stack.stack_fixtures import StackForTests, copied, refused, removed_at_the_end, until

pytestmark = [pytest.mark.integration, pytest.mark.engine, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def bare(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackForTests]:
    """A copy of the project, nothing started."""
    assert engine
    with removed_at_the_end(copied(tmp_path_factory.mktemp("bare"), "passerelle-test-bare")) as made:
        make_secrets(made.folder / "deploy" / "secrets")
        yield made


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


@pytest.mark.parametrize("name", ["postgres_password", "s3_mlflow"])
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
