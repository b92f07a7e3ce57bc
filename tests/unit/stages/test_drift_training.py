"""The training figures of an adopted version: its environment is made where it is missing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from passerelle.errors import NotFoundError
from passerelle.model.adoption import LOCK_FILE
from passerelle.stages import drift_training, promote_environment
from tests.unit.registry.memory import Bucket, Mlflow, real, ref


def test_the_environment_of_an_adopted_version_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[Path, str]] = []
    monkeypatch.setattr(promote_environment, "ensure", lambda lock, python, _: made.append((lock, python)))

    def gather(*_: Any, prepare: Any, **__: Any) -> Any:
        assert prepare(SimpleNamespace(folder=tmp_path / "model", adoption=SimpleNamespace(python="3.11"), ref=ref(1))) is False
        raise NotFoundError("no rows")

    monkeypatch.setattr(drift_training, "gather", gather)
    assert drift_training.training_rows(real(Mlflow(Bucket())), ref(1), tmp_path) is None
    assert made == [(tmp_path / LOCK_FILE, "3.11")]
