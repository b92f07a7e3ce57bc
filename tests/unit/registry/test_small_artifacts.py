"""Files of runs are read from the bucket where they are there, and by MLflow elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from passerelle.registry import small_artifacts
from passerelle.registry.objects import Objects
from passerelle.registry.small_artifacts import SmallArtifacts
from passerelle.settings import S3Settings
from tests.unit.registry.memory import Bucket

FOLDER = "mlflow/1/a/artifacts"


class Runs:
    """Says where the artifacts of runs are, and counts how often."""

    def __init__(self) -> None:
        self.requests = 0

    def folder_of(self, run_id: str) -> str:
        self.requests += 1
        return f"s3://{'passerelle' if run_id == 'a' else 'others'}/mlflow/1/{run_id}/artifacts"


@pytest.fixture
def runs() -> Runs:
    return Runs()


@pytest.fixture
def small(runs: Runs) -> SmallArtifacts:
    bucket = Bucket()
    bucket.held = {f"{FOLDER}/golden.json": b"{}", f"{FOLDER}/gate/report.md": b"report", "mlflow/1/b/artifacts/golden.json": b"[]"}
    bucket.settings = S3Settings.read(bucket="passerelle")  # type: ignore[attr-defined]
    return SmallArtifacts(runs.folder_of, cast("Objects", bucket))


def test_a_file_is_written_below_the_destination(small: SmallArtifacts, runs: Runs, tmp_path: Path) -> None:
    assert small.fetch("a", "golden.json", tmp_path) == tmp_path / "golden.json"
    assert small.fetch("a", "gate/report.md", tmp_path) == tmp_path / "gate" / "report.md"
    assert [(tmp_path / name).read_bytes() for name in ("golden.json", "gate/report.md")] == [b"{}", b"report"]
    assert runs.requests == 1, "MLflow is asked once where the files of a run are"


def test_what_is_not_there_as_a_small_file_is_left_to_mlflow(
    small: SmallArtifacts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert small.fetch("a", "bundle.zip", tmp_path) is None
    assert small.fetch("a", "gate", tmp_path) is None, "a folder"
    assert small.fetch("b", "golden.json", tmp_path) is None, "another bucket"
    monkeypatch.setattr(small_artifacts, "_LARGEST_BYTES", 5)
    assert small.fetch("a", "gate/report.md", tmp_path) is None, "a large file"
    assert list(tmp_path.iterdir()) == []
