"""`train` takes the project's folder like the other commands, and reads nothing of the folder that it is typed in."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerelle.cli.main import passerelle
from passerelle.errors import UsageError

ROOT = Path(__file__).resolve().parents[3]


def test_train_reads_the_project_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    for check in ("check_mlflow", "check_s3_listens"):
        monkeypatch.setattr(f"passerelle.registry.reachable.{check}", lambda _: None)
    with pytest.raises(UsageError, match=f"{tmp_path} is not a project of passerelle"):
        passerelle.main(["train", "--project", str(tmp_path)], standalone_mode=False)
