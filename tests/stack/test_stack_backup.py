"""A backup, restored into an empty stack, is the same to the last object."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from passerelle.rollout.secret_files import API_KEY, NAMES
from tests.stack.stack_fixtures import StackForTests, copied, refused, removed_at_the_end

pytestmark = [pytest.mark.integration, pytest.mark.engine, pytest.mark.timeout(1800)]
ROWS = (
    "SELECT 'run', run_uuid, status FROM runs UNION ALL SELECT 'metric', run_uuid || key, value::text FROM latest_metrics"
    " UNION ALL SELECT 'version', name || version, current_stage || run_id FROM model_versions"
    " UNION ALL SELECT 'alias', name || alias, version::text FROM registered_model_aliases"
    " UNION ALL SELECT 'tag', name || version || key, value FROM model_version_tags ORDER BY 1, 2, 3"
)

FOREIGN = "other/x"
#: Runs the real docker, and says that it failed at the one step of a restore whose number is in the file.
FAILING = """#!/bin/bash
%(real)s "$@"; code=$?
if [[ "$*" =~ "DATABASE restoring"|pg_restore|RENAME|before_restore|"stop mlflow"|"COMMENT ON"|"--wait mlflow" ]]; then
  count=$(($(cat %(count)s) - 1)); echo "$count" >%(count)s
  if [ "$count" = 0 ]; then echo "interrupted: $*" >&2; exit 1; fi
fi
exit $code
"""


def as_user(stack: StackForTests, name: str, secret: str) -> Any:
    return boto3.client(
        "s3", endpoint_url=stack.environment["MLFLOW_S3_ENDPOINT_URL"], aws_access_key_id=name,
        aws_secret_access_key=stack.secret(secret), region_name="us-east-1", config=Config(s3={"addressing_style": "path"}),
    )  # fmt: skip


def objects(stack: StackForTests) -> dict[str, str]:
    """Return the digest of every object that is the stack's."""
    client = as_user(stack, "backup", "s3_backup")
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="passerelle")
    keys = [item["Key"] for page in pages for item in page.get("Contents", ()) if item["Key"] != FOREIGN]
    return {key: hashlib.sha256(client.get_object(Bucket="passerelle", Key=key)["Body"].read()).hexdigest() for key in keys}


def rows(stack: StackForTests) -> str:
    command = ("exec", "-T", "postgres", "psql", "--username", "mlflow", "--dbname", "mlflow", "--tuples-only", "--command", ROWS)
    return stack.compose(*command)


def interrupted_twice(stack: StackForTests, archive: Path, folder: Path) -> None:
    """Call restore and break it off, once when the names are changed and once when MLflow was started.

    `tests/integration/test_restore_steps.py` breaks it off at every step.
    """
    count = folder / "count"
    (folder / "docker").write_text(FAILING % {"real": shutil.which("docker"), "count": count})
    (folder / "docker").chmod(0o755)
    path = {"PATH": f"{folder}:{stack.environment['PATH']}"}
    for step in (7, 2):
        count.write_text(str(step))
        said = stack.run("passerelle", "restore", str(archive), "--json", variables=path)
        assert (said.returncode, count.read_text().strip()) == (3, "0"), said.stdout + said.stderr
        assert "interrupted: " in said.stdout + said.stderr


def damaged_is_refused(stack: StackForTests, archive: Path) -> None:
    damaged = archive.with_name("damaged.tar")
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    said = stack.run("passerelle", "restore", str(damaged))
    assert (said.returncode, "not what was backed up" in said.stderr) == (1, True), said.stderr
    damaged.unlink()


@pytest.fixture(scope="module")
def empty(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[StackForTests, dict[str, Any]]]:
    """A stack of an empty registry, brought up by `deploy --init` in a new clone, and what that command said."""
    assert engine
    clone = copied(tmp_path_factory.mktemp("restored"), "passerelle-test-restored")
    with removed_at_the_end(clone):
        assert "is missing" in refused(clone)
        said = json.loads(clone.done("passerelle", "deploy", "--target", "compose", "--init", "--json", timeout=600))
        yield clone, said


def test_init_on_an_empty_registry_makes_the_secrets_and_says_what_is_missing(empty: tuple[StackForTests, dict[str, Any]]) -> None:
    clone, said = empty
    assert set(said["secrets"]) == {*NAMES, API_KEY}
    assert "no version of classification is 'production'" in said["missing"]
    assert "passerelle promote --best" in said["next_command"]
    again = json.loads(clone.done("passerelle", "deploy", "--target", "compose", "--init", "--json"))
    assert again["secrets"] == []
    assert "there is nothing to deploy" in refused(clone)
    assert "service-1" not in clone.inspected()


def entries_are_locked(stack: StackForTests) -> None:
    root = as_user(stack, "admin", "minio_root_password")
    keys = [key for key in objects(stack) if key.startswith("ledger/") and key.endswith(".jsonl")]
    assert keys
    for key in keys:
        assert root.get_object_retention(Bucket="passerelle", Key=key)["Retention"]["Mode"] == "GOVERNANCE"


def the_same(one: StackForTests, other: StackForTests) -> None:
    before, after = objects(one), objects(other)
    assert len(before) > 20
    assert before == after
    assert rows(one) == rows(other) != ""
    verified = other.done("passerelle", "history", "--verify", "--json")
    assert json.loads(verified)["findings"] == []
    assert verified == one.done("passerelle", "history", "--verify", "--json")
    entries_are_locked(other)


def test_a_backup_restores_to_the_same(
    served: StackForTests,
    empty: tuple[StackForTests, dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
    record_property: Callable[[str, object], None],
) -> None:
    archive = tmp_path_factory.mktemp("backup") / "passerelle.tar"
    root = as_user(served, "admin", "minio_root_password")
    root.put_object(Bucket="passerelle", Key=FOREIGN, Body=b"of somebody else")
    try:
        # MLflow and the proxy may be down: they are what a backup is for.
        served.compose("stop", "mlflow", "proxy")
        made = json.loads(served.done("passerelle", "backup", str(archive), "--json"))
    finally:
        served.compose("up", "--detach", "--wait", "mlflow", "proxy")
        root.delete_object(Bucket="passerelle", Key=FOREIGN)
    assert made["left_out"] == 1
    with tarfile.open(archive) as held:
        assert "objects/" + FOREIGN not in held.getnames()
    assert archive.stat().st_mode & 0o077 == 0
    refused = served.run("passerelle", "restore", str(archive))
    assert (refused.returncode, "not empty" in refused.stderr) == (2, True), refused.stderr
    again = served.run("passerelle", "backup", str(archive))
    assert (again.returncode, "is there already" in again.stderr) == (2, True)

    target, _ = empty
    damaged_is_refused(target, archive)
    interrupted_twice(target, archive, tmp_path_factory.mktemp("failing"))
    restored = json.loads(target.done("passerelle", "restore", str(archive), "--json"))
    twice = target.run("passerelle", "restore", str(archive))
    assert (twice.returncode, "not empty" in twice.stderr) == (2, True), twice.stderr
    target.connect()
    assert restored["digest"] == made["digest"]
    the_same(served, target)
    imported = json.loads(target.done("passerelle", "import", "--json"))
    assert imported["bento_model_tag"]
    what = f"{made['objects']} objects and the database, {made['size_bytes'] / 1e6:.0f} MB"
    record_property(
        "figure", f"backup of {what}: {made['seconds']:.1f} s; restored into an empty stack and read back: {restored['seconds']:.1f} s"
    )
