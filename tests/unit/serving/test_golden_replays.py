"""Golden replays are answered and counted apart; no client hides anything else by saying that it replays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from passerelle.monitoring.figures import read_figures
from passerelle.serving.endpoint import ClassifyEndpoint
from passerelle.serving.pages.app import build_app
from passerelle.serving.runtime import Runtime
from passerelle.settings import ServiceSettings
from tests.unit.serving.models import text_bento_model
from tests.unit.serving.test_endpoint import ask

MARK = {"X-Golden-Replay": "smoke"}


@pytest.fixture
def loaded(tmp_path: Path) -> tuple[Runtime, ClassifyEndpoint]:
    runtime = Runtime(text_bento_model(tmp_path / "test"), ServiceSettings.read(access_log=False))
    runtime.load()
    return runtime, ClassifyEndpoint(build_app(runtime), runtime=runtime)


def figures(app: ClassifyEndpoint) -> tuple[dict[str, int], int, int]:
    """Return the requests, the records and the replays that `monitor` counts."""
    found = read_figures(ask(app, "GET", "/metrics").text, address="")
    return dict(found.requests), sum(found.predictions.values()), found.golden_replays


def without_id(answer: Any) -> dict[str, Any]:
    return {name: value for name, value in answer.json().items() if name != "prediction_id"}


def test_a_replay_is_answered_alike_and_counted_apart(loaded: tuple[Runtime, ClassifyEndpoint]) -> None:
    runtime, app = loaded
    assert runtime.model is not None
    golden = dict(runtime.model.golden.inputs[0])
    replayed = ask(app, "POST", "/classify", json=golden, headers=MARK)
    assert replayed.status_code == 200
    assert figures(app) == ({}, 0, 1)
    assert without_id(ask(app, "POST", "/classify", json=golden)) == without_id(replayed)
    assert figures(app) == ({"200": 1}, 1, 1)


def test_a_mark_hides_nothing_else(loaded: tuple[Runtime, ClassifyEndpoint]) -> None:
    runtime, app = loaded
    assert runtime.model is not None
    golden = dict(runtime.model.golden.inputs[0])
    for path, body in (("/classify", {"text": "lampadaire en panne"}), ("/classify/batch", {"records": [golden]}), ("/classify", {})):
        ask(app, "POST", path, json=body, headers={**MARK, "golden": "the record is a golden input"})
    assert figures(app) == ({"200": 2, "422": 1}, 2, 0)
