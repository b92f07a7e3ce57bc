"""A registry whose runs are folders, with two versions in it: what the gate's evidence is gathered from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from passerelle.errors import NotFoundError
from passerelle.model.manifest import digest_of_file, digest_of_manifest, manifest_of
from passerelle.names import ARTIFACT_DIGEST, GOLDEN, HELD_OUT, MANIFEST, TRAIN_HASHES, ModelVersionRef
from passerelle.registry.client import CandidateRun, VersionInfo
from passerelle.registry.training_data import TRAINING
from tests.unit.registry.memory import ref

ROWS = 12
TEXTS = [f"trottoir {place}" for place in range(ROWS)]
LABELS = ["voirie", "délai"] * (ROWS // 2)


class Folders:
    """A registry whose runs are folders: `RUN/model`, `RUN/data`, `RUN/golden.json`, `RUN/passerelle/manifest.json`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tags: dict[int, dict[str, str]] = {}
        self.parents: dict[str, str] = {}

    def add(self, version: int, *, learned: list[str] | None, rows: pd.DataFrame | None, parent: str | None = None) -> None:
        run = self.root / ref(version).run_id
        (run / "model").mkdir(parents=True)
        (run / "model" / "model.skops").write_bytes(b"x" * 900)
        (run / "model" / "MLmodel").write_bytes(b"y" * 100)
        (run / GOLDEN).write_text("{}")
        training = self.root / (parent or ref(version).run_id)
        (training / "data").mkdir(parents=True, exist_ok=True)
        if rows is not None:
            rows.to_parquet(training / HELD_OUT)
        if learned is not None:
            (training / TRAIN_HASHES).write_text(json.dumps({"rows": learned}))
        if parent:
            self.parents[ref(version).run_id] = parent
        self.register(version, training)

    def register(self, version: int, training: Path) -> None:
        run = self.root / ref(version).run_id
        digests = {name: digest_of_file(training / name) for name in (HELD_OUT, TRAIN_HASHES) if (training / name).exists()}
        manifest = manifest_of(run / "model", run / GOLDEN) | {TRAINING: digests}
        (run / MANIFEST).parent.mkdir(exist_ok=True)
        (run / MANIFEST).write_text(json.dumps(manifest))
        self.tags[version] = {ARTIFACT_DIGEST: digest_of_manifest(manifest)}

    def model_version(self, registered_model: str, version: int) -> VersionInfo:
        return VersionInfo(ModelVersionRef(registered_model, version, ref(version).run_id), self.tags[version], "None", "", 0)

    def run(self, run_id: str) -> CandidateRun:
        parent = self.parents.get(run_id)
        return CandidateRun(run_id, f"candidate {run_id[0]}", {}, {"mlflow.parentRunId": parent} if parent else {}, "FINISHED")

    def read_json(self, run_id: str, path: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / run_id / path).read_text())
        return found

    def run_artifact(self, run_id: str, path: str, folder: Path) -> Path:
        if not (self.root / run_id / path).exists():
            raise NotFoundError(f"{path} does not exist")
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(self.root / run_id / path, folder / path))

    def download_model(self, of: ModelVersionRef, folder: Path) -> Path:
        return Path(shutil.copytree(self.root / of.run_id / "model", folder))


def rows_of(labels: list[str] | None = None, **more: Any) -> pd.DataFrame:
    return pd.DataFrame({"text": TEXTS, "label": labels or LABELS} | more)


def two_versions(root: Path) -> Folders:
    """Write a champion and a challenger that learned from other rows than those that are held out."""
    found = Folders(root)
    found.add(1, learned=["sha256:other"], rows=None)
    found.add(2, learned=["sha256:another"], rows=rows_of(group=list(range(ROWS))), parent="training")
    return found
