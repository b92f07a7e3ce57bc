"""One implementation, two doors; and what of BentoML the first of them stands on, so that an upgrade that changes it is noticed."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from typing import Any

import bentoml
import pytest
from _bentoml_impl.worker import service as worker

from passerelle.model.prediction_id import is_prediction_id
from tests.service_fixtures import ROOT, ServedModel

pytestmark = [pytest.mark.e2e, pytest.mark.integration]


@pytest.fixture(scope="module")
def asked(served: ServedModel) -> dict[str, Any]:
    environment = dict(os.environ) | {
        "BENTOML_HOME": str(served.bentoml_home),
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
        "PASSERELLE_ACCESS_LOG": "false",
        "BENTOML_DO_NOT_TRACK": "true",
    }
    command = [sys.executable, "-m", "tests.e2e.doors"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


def without_id(answer: dict[str, Any]) -> dict[str, Any]:
    if "predictions" in answer:
        return {"predictions": [without_id(each) for each in answer["predictions"]]}
    assert is_prediction_id(answer["prediction_id"])
    return {key: value for key, value in answer.items() if key != "prediction_id"}


def test_both_doors_answer_the_same(asked: dict[str, Any]) -> None:
    assert len(asked["answers"]) == 3
    for front, behind in asked["answers"]:
        assert without_id(front) == without_id(behind)
        assert front


def test_the_endpoint_stands_in_front_of_all_of_bentoml(asked: dict[str, Any]) -> None:
    assert asked["kinds"] == {"front": True, "behind": False}
    assert {"/classify", "/classify/batch"} <= set(asked["paths"])


def test_bentoml_still_has_what_the_service_stands_on() -> None:
    assert bentoml.__version__ == "1.4.39"
    # The worker asks the service for its application, and gives it to uvicorn as it is.
    assert "service.to_asgi(is_main=" in inspect.getsource(worker.main.callback)
    assert callable(bentoml.on_deployment)
    assert callable(bentoml.asgi_app)
