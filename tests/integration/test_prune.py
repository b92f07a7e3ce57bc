"""Storage is freed of what nobody needs and of nothing else, with a way back: a real MLflow, a real S3 that keeps versions."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from mlflow import MlflowClient

from passerelle.errors import BusyError, NotFoundError, UsageError
from passerelle.platform.state import RunningPlatform
from passerelle.registry.lock import promotion_lock
from passerelle.registry.object_versions import VersionedObjects
from passerelle.stages import bring_back, prune
from passerelle.stages.context import context_of
from passerelle.stages.prune import Pruned, PruneOptions

pytestmark = pytest.mark.integration


@dataclass
class Storage:
    """A bucket of its own on the session's S3, and an experiment whose runs lie in it."""

    bucket: VersionedObjects
    mlflow: MlflowClient
    experiment: str

    def run(self, *, deleted: bool) -> str:
        """Make a run with two artifacts, of which one was written twice."""
        run_id = str(self.mlflow.create_run(self.experiment).info.run_id)
        for content in (b"former", b"12345678"):
            self.bucket.hide([self.key(run_id)])
            assert self.bucket.create(self.key(run_id), content)
        assert self.bucket.create(self.key(run_id, "b"), b"1234")
        if deleted:
            self.mlflow.delete_run(run_id)
        return run_id

    def key(self, run_id: str, name: str = "a") -> str:
        return f"mlflow/{self.experiment}/{run_id}/artifacts/{name}"

    def visible(self, run_id: str) -> bool:
        return self.key(run_id) in self.bucket.keys("mlflow/")

    def versions(self, run_id: str) -> int:
        return len(list(self.bucket.object_versions(self.key(run_id, ""))))

    def prune(self, **options: bool | int) -> Pruned:
        dry_run = bool(options.pop("dry_run", False))
        return prune.run(context_of(os.environ), PruneOptions(**options), dry_run=dry_run)  # type: ignore[arg-type]


@pytest.fixture
def storage(platform: RunningPlatform, plain_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    name = f"prune-{uuid.uuid4().hex[:8]}"
    monkeypatch.setenv("PASSERELLE_S3_BUCKET", name)
    client(platform).create_bucket(Bucket=name)
    client(platform).put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    mlflow = MlflowClient(platform.tracking_uri)
    experiment = mlflow.create_experiment(name, artifact_location=f"s3://{name}/mlflow/1")
    yield Storage(VersionedObjects(context_of(os.environ).s3), mlflow, experiment)
    mlflow.delete_experiment(experiment)


def client(platform: RunningPlatform) -> Any:
    secret = platform.s3.secret_access_key
    return boto3.client(
        "s3", endpoint_url=platform.s3.endpoint_url, aws_access_key_id=platform.s3.access_key_id, region_name="us-east-1",
        aws_secret_access_key=secret.get_secret_value() if secret else None, config=Config(s3={"addressing_style": "path"}),
    )  # fmt: skip


def registered(storage: Storage, run_id: str) -> str:
    """Make the run's artifacts a version of a new registered model, and return its name."""
    name = f"prune-{uuid.uuid4().hex[:8]}"
    storage.mlflow.create_registered_model(name)
    storage.mlflow.create_model_version(name, f"runs:/{run_id}/a", run_id=run_id)
    return name


def test_what_nobody_needs_is_hidden_then_freed_and_all_else_stays(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    unneeded, active, in_ledger = storage.run(deleted=True), storage.run(deleted=False), storage.run(deleted=True)
    of_version = storage.run(deleted=False)
    registered(storage, of_version)
    storage.mlflow.delete_run(of_version)
    gone = uuid.uuid4().hex
    assert storage.bucket.create(storage.key(gone), b"of a run that `mlflow gc` removed")
    assert storage.bucket.create("ledger/m/000001.jsonl", f'{{"run_id": "{in_ledger}"}}'.encode())

    planned = storage.prune(dry_run=True)
    assert (planned.hidden.runs, planned.hidden.objects, planned.hidden.size_bytes) == (1, 2, 12)
    assert {each.name: each.needed_by.split(" of ")[0] for each in planned.kept} == {
        f"run {in_ledger}": "the ledger",
        f"run {of_version}": "version 1",
    }
    assert planned.unknown.objects == 1
    assert storage.visible(unneeded)

    assert storage.prune().hidden == planned.hidden
    assert [storage.visible(each) for each in (unneeded, active, in_ledger, of_version, gone)] == [False, True, True, True, True]
    assert not storage.prune().changed
    back = bring_back.run(context_of(os.environ), unneeded)
    assert (back.artifacts.size_bytes, back.restored, storage.visible(unneeded)) == (12, False, True)

    assert storage.prune(unknown=True).hidden.runs == 2
    later = VersionedObjects.server_time(storage.bucket) + timedelta(days=31)
    monkeypatch.setattr(VersionedObjects, "server_time", lambda _: later)
    freed = storage.prune(unknown=True)
    assert (freed.freed.runs, storage.versions(unneeded), storage.versions(gone)) == (2, 0, 0)
    assert freed.former.size_bytes == 3 * len(b"former")
    assert [storage.bucket.read(storage.key(each))[0] for each in (active, in_ledger, of_version)] == [b"12345678"] * 3
    assert not storage.prune(unknown=True).changed
    with pytest.raises(NotFoundError, match="holds nothing of the run"):
        bring_back.run(context_of(os.environ), unneeded)


def test_a_promotion_holds_it_back_and_a_run_that_is_needed_meanwhile_stays(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    needed_meanwhile = storage.run(deleted=True)
    assert storage.bucket.create("ledger/m/000001.jsonl", b"{}")
    with promotion_lock(storage.bucket, "m", "marie@here", "promoting version 2"), pytest.raises(BusyError, match="marie@here"):
        storage.prune()
    assert storage.visible(needed_meanwhile)

    def somebody_registers(_: str) -> None:
        if not storage.mlflow.search_model_versions(f"run_id = '{needed_meanwhile}'"):
            registered(storage, needed_meanwhile)

    def decided_before(step: str) -> None:
        if "runs and models" in step:
            storage.mlflow.restore_run(needed_meanwhile)
            somebody_registers(step)

    prune.run(context_of(os.environ), PruneOptions(), progress=decided_before)
    assert storage.visible(needed_meanwhile)
    assert storage.bucket.keys("ledger/") == ("ledger/m/000001.jsonl",)


def test_it_refuses_a_bucket_without_former_versions_and_the_bucket_of_another_server(storage: Storage, platform: RunningPlatform) -> None:
    kept = storage.run(deleted=True)
    for _ in range(2):
        assert storage.bucket.create(storage.key(uuid.uuid4().hex), b"of another server")
    with pytest.raises(UsageError, match="MLflow knows 1 of the 3 runs"):
        storage.prune(unknown=True)
    client(platform).put_bucket_versioning(Bucket=storage.bucket.settings.bucket, VersioningConfiguration={"Status": "Suspended"})
    with pytest.raises(UsageError, match="keeps no former versions") as found:
        storage.prune()
    assert found.value.hint == "passerelle prune --without-way-back --dry-run"
    assert storage.visible(kept)
    done = storage.prune(without_way_back=True)
    assert (done.hidden.runs, done.way_back) == (1, False)
    assert not storage.visible(kept)
