"""The command that asks a new service its first question goes to the path that the model answers on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from passerelle.bentos.store import Store
from passerelle.names import BentoTag
from passerelle.settings import StoreSettings
from passerelle.stages import first_request as module


@pytest.mark.parametrize(("task", "path"), [("classification", "/classify"), ("regression", "/predict")])
def test_the_path_is_that_of_the_task(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, task: str, path: str) -> None:
    monkeypatch.setattr(Store, "model_of", lambda *_: SimpleNamespace(path=str(tmp_path)))
    monkeypatch.setattr(module, "describe", lambda *_, **__: SimpleNamespace(columns=(), task=task))
    settings = StoreSettings.read({}, bentoml_home=tmp_path)
    command = module.first_request(settings, BentoTag("prices", "1-aaaa1111"), "http://127.0.0.1:1", keys=tmp_path / "keys.json")
    assert command == f"curl http://127.0.0.1:1{path} --json '{{}}'"
