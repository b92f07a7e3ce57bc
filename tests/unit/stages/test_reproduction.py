"""When a second training counts as the same."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from passerelle.errors import UsageError
from passerelle.stages import reproduce
from passerelle.stages.reproduction import compare_trainings

GOLDEN: dict[str, Any] = {"labels": ["a", "b"], "probabilities": [[0.9, 0.1], [0.2, 0.8]]}
METRICS = {"cv_macro_f1": 0.5, "test_accuracy": 0.6, "latency_p95_ms": 3.0, "fit_seconds": 1.0, "size_bytes": 10.0}


def test_times_and_sizes_do_not_count() -> None:
    found = compare_trainings(METRICS, METRICS | {"latency_p95_ms": 9.0, "fit_seconds": 5.0, "size_bytes": 11.0}, GOLDEN, GOLDEN)
    assert found.same
    assert [each.metric for each in found.metrics] == ["cv_macro_f1", "test_accuracy"]


@pytest.mark.parametrize(
    ("again", "golden"),
    [
        (METRICS | {"cv_macro_f1": 0.500001}, GOLDEN),
        ({"cv_macro_f1": 0.5}, GOLDEN),
        (METRICS, GOLDEN | {"labels": ["a", "a"]}),
        (METRICS, GOLDEN | {"labels": ["a"]}),
        (METRICS, GOLDEN | {"probabilities": [[0.9, 0.1], [0.2001, 0.7999]]}),
    ],
)
def test_any_other_difference_does(again: dict[str, float], golden: dict[str, Any]) -> None:
    assert not compare_trainings(METRICS, again, GOLDEN, golden).same


def test_models_without_probabilities_are_compared_by_their_labels() -> None:
    bare = {"labels": ["a", "b"], "probabilities": None}
    assert compare_trainings(METRICS, METRICS, bare, bare).same


def test_a_machine_without_git_cannot_check_a_commit_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", "git")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(UsageError, match="cannot be checked out: git does not answer"), reproduce.checkout(tmp_path, "a" * 40):
        pass
