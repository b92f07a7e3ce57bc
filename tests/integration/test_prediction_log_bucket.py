"""The prediction log in a real S3, with versions: what is collected there, and what an erasure leaves."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import mlflow
import pyarrow.parquet as pq
import pytest

from passerelle.cli.main import run
from passerelle.errors import OutsideError
from passerelle.model.ledger_entry import ERASURE
from passerelle.monitoring.prediction_log.partitions import read_feedback, read_table
from passerelle.monitoring.prediction_log.trees import PREDICTIONS, TEXTS
from passerelle.platform.state import RunningPlatform
from passerelle.registry.log_bucket import LogBucket
from passerelle.stages import collect, erase, history
from passerelle.stages.context import Context, context_of
from passerelle.stages.log_location import log_location
from tests.unit.monitoring.prediction_log.log_files import feedback, prediction, prediction_id, write_lines

pytestmark = pytest.mark.integration
TODAY = datetime.now(UTC).date()
TEXT = "Chez moi, 3 rue de la Paix"


class RealBucket:
    """A versioned bucket of its own on the session's S3."""

    def __init__(self, platform: RunningPlatform) -> None:
        s3 = platform.s3
        assert s3.secret_access_key is not None
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=s3.endpoint_url,
            aws_access_key_id=s3.access_key_id,
            aws_secret_access_key=s3.secret_access_key.get_secret_value(),
            region_name=s3.region,
        )
        self.name = f"log-{uuid.uuid4().hex[:8]}"
        self.client.create_bucket(Bucket=self.name)
        self.client.put_bucket_versioning(Bucket=self.name, VersioningConfiguration={"Status": "Enabled"})

    def versions(self) -> list[tuple[str, str]]:
        found = self.client.list_object_versions(Bucket=self.name)
        return [(each["Key"], each["VersionId"]) for each in found.get("Versions", ())]

    def holds(self, folder: Path, text: str) -> list[str]:
        """Return the objects of which any version holds the text in a row."""
        hits = []
        for key, version in self.versions():
            if key.endswith(".parquet"):
                (folder / "version").write_bytes(self.client.get_object(Bucket=self.name, Key=key, VersionId=version)["Body"].read())
                if text in repr(pq.read_table(folder / "version").to_pylist()):
                    hits.append(key)
        return hits


@pytest.fixture
def bucket(platform: RunningPlatform) -> RealBucket:
    return RealBucket(platform)


@pytest.fixture
def context(
    platform: RunningPlatform, bucket: RealBucket, plain_environment: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Context:
    """A registered model without versions, and a log in a state folder of its own."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    mlflow.MlflowClient(platform.tracking_uri).create_registered_model(name)
    own = {"PASSERELLE_REGISTERED_MODEL": name, "PASSERELLE_STATE_DIR": str(tmp_path / "state"), "PASSERELLE_LOG_BUCKET": bucket.name}
    for variable, value in own.items():
        monkeypatch.setenv(variable, value)
    return context_of({**platform.environment, **own})


def test_an_erasure_leaves_nothing_of_an_answer_in_any_version(context: Context, bucket: RealBucket, tmp_path: Path) -> None:
    log = tmp_path / "state" / "predictions"
    gone, stays = (prediction(prediction_id(TODAY), text=text) for text in (TEXT, "Un arbre"))
    write_lines(log, "closed/predictions-1-7-1.jsonl", [gone, stays])
    write_lines(log, "closed/feedback-1-7-1.jsonl", [feedback(gone.prediction_id, comment=TEXT)])
    assert collect.run(context).sent == 4
    assert not collect.run(context).changed
    # An object was copied over itself, and a copy of it was deleted by its name: former versions hold the text too.
    (key,) = {key for key in bucket.holds(tmp_path, TEXT) if "/texts/" in key}
    for target in (key, f"{key}.parquet"):
        source = {"Bucket": bucket.name, "Key": key}
        bucket.client.copy_object(Bucket=bucket.name, Key=target, CopySource=source, MetadataDirective="REPLACE", Metadata={"a": "b"})
    bucket.client.delete_object(Bucket=bucket.name, Key=f"{key}.parquet")
    unknown = prediction_id(TODAY)
    assert erase.run(context, [gone.prediction_id], dry_run=True).rows == 4
    assert len(bucket.holds(tmp_path, TEXT)) == 4
    done = erase.run(context, [gone.prediction_id, unknown], by="Marie", reason="request 7")
    assert (done.rows, done.former, done.unknown) == (4, 2, (unknown,))
    assert not bucket.client.list_object_versions(Bucket=bucket.name).get("DeleteMarkers")
    assert bucket.holds(tmp_path, TEXT) == bucket.holds(tmp_path, gone.prediction_id) == []
    place = log_location(context).place
    assert read_table(place, PREDICTIONS, [TODAY], ["prediction_id"])["prediction_id"].to_pylist() == [stays.prediction_id]
    assert (read_table(place, TEXTS, [TODAY]).num_rows, read_feedback(place, [TODAY]).num_rows) == (1, 0)
    again = erase.run(context, [gone.prediction_id, unknown])
    assert (again.changed, again.entry) == (False, done.entry)
    (entry,) = history.run(context, verify=True).entries
    assert (entry.what, entry.reason, entry.who.startswith("Marie (")) == (ERASURE, "request 7", True)
    assert gone.prediction_id.encode() not in entry.line()


def test_the_commands_print_one_object_and_exit_3_while_s3_is_away(
    context: Context, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = tmp_path / "state" / "predictions"
    answer = prediction(prediction_id(TODAY))
    write_lines(log, "closed/predictions-1-7-1.jsonl", [answer])

    def away(_: LogBucket, name: str, __: Path) -> bool:
        raise OutsideError(f"{name} cannot be written: S3 is away")

    with monkeypatch.context() as patch, pytest.raises(SystemExit) as left:
        patch.setattr(LogBucket, "add", away)
        run(["collect", "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert (left.value.code, shown["files"], shown["waiting"], shown["sent"]) == (3, 1, 1, 0)
    run(["collect"])
    assert "1 file sent to the bucket" in capsys.readouterr().out
    run(["collect"])
    assert capsys.readouterr().out == "nothing to do\n"
    run(["erase", answer.prediction_id, "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert (shown["rows"], shown["unknown"], shown["entry"]["erased"]["count"]) == (1, [], 1)
    with pytest.raises(SystemExit) as left:
        run(["erase", "5"])
    assert left.value.code == 2
