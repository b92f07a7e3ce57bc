"""What tags say of an adopted version is compared with the record of its adoption, whose digest is in the manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from passerelle.errors import NotFoundError
from passerelle.gate.table_differences import differences_of, keep_differences
from passerelle.model.adoption import ADOPTION_FILE, Adoption
from passerelle.model.manifest import ADOPTED
from passerelle.model.version_differences import VersionDifferences
from passerelle.names import ARTIFACT_DIGEST, FLAVOR, GOLDEN_ORIGIN, MADE_BY_DEMO, MODEL_SOURCE, TASK
from passerelle.registry.client import CandidateRun, Registry, VersionInfo
from passerelle.registry.recorded_origin import adoption_differences
from passerelle.stages.demo_ownership import REASON, found_by_demo
from passerelle.stages.promotion import put_in_production
from tests.unit.registry.ledger_forgeries import entry_of
from tests.unit.registry.memory import NAME, Bucket, Mlflow, real, ref

RECORD = Adoption("models:/prices/1", "a" * 32, "sklearn", "classification", {}, "signature", "3.11")
TAGS = {GOLDEN_ORIGIN: "signature", TASK: "classification", FLAVOR: "sklearn"}


class Run:
    """A registry with one artifact."""

    def __init__(self, content: str | None) -> None:
        self.content = content

    def run_artifact(self, run_id: str, path: str, destination: Path) -> Path:
        if self.content is None:
            raise NotFoundError(f"the run {run_id} has no {path}")
        (destination / path).write_text(self.content, encoding="utf-8")
        return destination / path


def told(tags: Mapping[str, str], *, source: str = RECORD.source, record: str | None = RECORD.canonical()) -> list[str]:
    digest = "sha256:" + hashlib.sha256(RECORD.canonical().encode()).hexdigest()
    version = VersionInfo(ref(1), dict(tags), "None", "", 0)
    run = CandidateRun("r" * 32, "adoption", {}, {MODEL_SOURCE: source}, "FINISHED")
    found = adoption_differences(cast("Registry", Run(record)), version, run, {ADOPTED: {ADOPTION_FILE: digest}})
    return [each.text for each in found]


def test_tags_that_say_what_was_recorded_are_no_difference() -> None:
    assert told(TAGS) == []
    assert told({name: value for name, value in TAGS.items() if name != FLAVOR}) == [], "an earlier adoption wrote no flavor"


@pytest.mark.parametrize("name", [GOLDEN_ORIGIN, TASK, FLAVOR])
def test_a_tag_that_somebody_edited_is_named_with_both_values(name: str) -> None:
    assert told({**TAGS, name: "other"}) == [f"the tag of the version {name} is 'other', the manifest says {TAGS[name]!r}"]


def test_so_are_the_source_and_the_record_itself() -> None:
    assert told(TAGS, source="models:/others/1")[0].startswith(f"the tag of the run {MODEL_SOURCE} is 'models:/others/1'")
    assert "is not there, the manifest says 'sha256:" in told(TAGS, record=None)[0]
    other = told({}, record=replace(RECORD, task="regression").canonical())
    assert other[0].startswith(f"the artifact of the run {ADOPTION_FILE} is 'sha256:")


def test_what_was_found_between_two_versions_is_of_their_runs_and_files(monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = Mlflow(Bucket())
    monkeypatch.setattr(
        mlflow, "write_json", lambda run_id, path, content: mlflow.write_text(run_id, path, json.dumps(content)), raising=False
    )
    keep_differences(real(mlflow), ref(2), VersionDifferences(NAME, 1, 2, 10, 0, 0, (), ()))
    found = differences_of(real(mlflow), ref(2), 1)
    assert found is not None
    assert found.identities == (f"{ref(1).run_id} sha256:1", f"{ref(2).run_id} sha256:2")
    assert differences_of(real(mlflow), ref(2), 3) is None
    mlflow.tags[1][ARTIFACT_DIGEST] = "sha256:anew"
    assert differences_of(real(mlflow), ref(2), 1) is None


def test_a_version_that_was_made_anew_is_not_the_demos() -> None:
    mlflow = Mlflow(Bucket())
    mlflow.tags[1][MADE_BY_DEMO] = "true"
    put_in_production(real(mlflow), ref(1), entry_of(1, reason=REASON))
    assert found_by_demo(real(mlflow)).of_others is None
    mlflow.tags[1][ARTIFACT_DIGEST] = "sha256:anew"
    assert str(found_by_demo(real(mlflow)).of_others).startswith("version 1 was put into production by marie@here")
