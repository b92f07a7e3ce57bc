"""Versions that a service must not serve, one of each kind, and the code that it refuses each with."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from passerelle.names import GOLDEN, MODEL_FOLDER, SCORER_FOLDER, ModelVersionRef
from tests.follow.versions import MOST_BYTES, Versions, slow, table, untrusted, words
from tests.unit.serving.models import TEXTS


@dataclass(frozen=True)
class BadVersion:
    """A kind of bad version.

    Attributes:
        fault: In words.
        code: That it is refused with.
        make: Registers one.
    """

    fault: str
    code: str
    make: Callable[[Versions], ModelVersionRef]


def _other_columns(versions: Versions) -> ModelVersionRef:
    records, labels = table(0)
    return versions.register(versions.logged(words(column="message"), records.rename(columns={"text": "message"}), labels))


def _other_task(versions: Versions) -> ModelVersionRef:
    return versions.register(versions.logged(words(), *table(0), task="languages"))


def _in_mlmodel(pattern: str, value: str) -> Callable[[Versions], ModelVersionRef]:
    """Return a version that the pipeline itself answers, with an MLmodel file that says something else."""

    def change(folder: Path) -> None:
        path = folder / MODEL_FOLDER / "MLmodel"
        content, times = re.subn(pattern, value, path.read_text(encoding="utf-8"))
        assert times == 1, content
        path.write_text(content, encoding="utf-8")

    return lambda versions: versions.forged(change, pipeline=slow())


def _other_golden(folder: Path) -> None:
    content = json.loads((folder / GOLDEN).read_text(encoding="utf-8"))
    content["probabilities"] = [row[1:] + row[:1] for row in content["probabilities"]]
    (folder / GOLDEN).write_text(json.dumps(content), encoding="utf-8")


def _damaged_scorer(folder: Path) -> None:
    path = max((folder / MODEL_FOLDER / SCORER_FOLDER).glob("*.npy"), key=lambda path: path.stat().st_size)
    np.save(path, np.zeros(3))


def _slow(versions: Versions) -> ModelVersionRef:
    long = [text * 40 for text in TEXTS]
    return versions.register(versions.logged(slow(), *table(0, long)))


def _untrusted(versions: Versions) -> ModelVersionRef:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PASSERELLE_TRUSTED_TYPES", "sklearn,numpy,scipy,tests.follow.versions.unchanged")
        return versions.register(versions.logged(untrusted(), *table(0)))


BAD_VERSIONS = (
    BadVersion("a version larger than `PASSERELLE_FOLLOW_MAX_BYTES`", "size", lambda versions: versions.padded(0, MOST_BYTES)),
    BadVersion("a version that takes other columns", "schema", _other_columns),
    BadVersion("a version of another task", "task", _other_task),
    BadVersion("a version that asks for a newer Python", "python", _in_mlmodel(r"python_version: [0-9.]+", "python_version: 3.99.0")),
    BadVersion("a version made by another scikit-learn", "libraries", _in_mlmodel(r"sklearn_version: [0-9.]+", "sklearn_version: 0.24.2")),
    BadVersion("a version that does not reproduce its golden predictions", "golden", lambda versions: versions.forged(_other_golden)),
    BadVersion("a version that cannot be loaded", "damaged_file", lambda versions: versions.forged(_damaged_scorer)),
    BadVersion("a version that is too slow", "latency", _slow),
    BadVersion("a version with a type that the operator does not trust", "untrusted_type", _untrusted),
)
