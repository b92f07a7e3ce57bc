"""What models of each task answer, and where: labels as they are, and /predict for what is no classifier."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from passerelle.errors import DigestError, ModelEndedError, ModelTimeoutError
from passerelle.model.adoption import Task
from passerelle.serving.endpoint import ClassifyEndpoint
from passerelle.serving.pages.app import build_app
from passerelle.serving.runtime import Runtime
from passerelle.settings import ServiceSettings
from tests.unit.serving.adopted import Hosted, adopted_runtime
from tests.unit.serving.models import text_bento_model
from tests.unit.serving.test_endpoint import SECRET, ask, refused

GOOD = {"text": "merci"}


def app_of(runtime: Runtime) -> ClassifyEndpoint:
    return ClassifyEndpoint(build_app(runtime), runtime=runtime)


def conforms(app: ClassifyEndpoint, answer: Any) -> None:
    """Check that an answer, and each example of the description, are what the description says."""
    document = ask(app, "GET", "/openapi.json").json()

    def check(content: Any, schema: dict[str, Any]) -> None:
        jsonschema.validate(content, {**schema, "components": document["components"]})

    check(answer, document["components"]["schemas"]["Prediction"])
    for path in ("/classify", "/classify/batch", "/predict", "/predict/batch"):
        if path in document["paths"]:
            operation = document["paths"][path]["post"]
            for described in (operation["requestBody"], operation["responses"]["200"]):
                content = described["content"]["application/json"]
                examples = content.get("examples") or {"": {"value": content["example"]}}
                for each in examples.values():
                    check(each["value"], content["schema"])


@pytest.mark.parametrize(
    ("classes", "names", "top"),
    [
        ((0, 1), None, [{"label": 1, "probability": 0.7}, {"label": 0, "probability": 0.3}]),
        ((False, True), None, [{"label": True, "probability": 0.7}, {"label": False, "probability": 0.3}]),
        ((1.0, 2.5), None, [{"label": 2.5, "probability": 0.7}, {"label": 1.0, "probability": 0.3}]),
        (("a", "b"), None, [{"label": "b", "probability": 0.7}, {"label": "a", "probability": 0.3}]),
        (
            (0, 1),
            {"0": "délai", "1": "voirie"},
            [{"label": 1, "label_name": "voirie", "probability": 0.7}, {"label": 0, "label_name": "délai", "probability": 0.3}],
        ),
    ],
)
def test_labels_of_any_type_come_back_as_they_are(tmp_path: Path, classes: Any, names: Any, top: Any) -> None:
    runtime, _ = adopted_runtime(tmp_path, "classification", lambda _: classes[1], classes=classes, labels=names, probabilities=[0.3, 0.7])
    app = app_of(runtime)
    body = ask(app, "POST", "/classify", json=GOOD)
    answer = body.json()
    assert json.dumps(answer["top"]) == json.dumps(top), "1, 1.0 and true are not the same"
    assert json.dumps(answer["label"]) == json.dumps(classes[1])
    assert answer.get("label_name") == (None if names is None else "voirie")
    assert ask(app, "POST", "/classify/batch", json={"records": [GOOD, GOOD]}).json()["predictions"][1]["top"] == top
    conforms(app, answer)
    metric = f'passerelle_predictions_total{{label="{classes[1]}",model_version="7"}} 3.0'
    assert metric in ask(app, "GET", "/metrics").text
    card = ask(app, "GET", "/model").json()
    assert json.dumps(card["classes"]) == json.dumps(list(classes))
    assert card["class_names"] == (None if names is None else ["délai", "voirie"])


def test_the_answer_of_a_model_with_text_labels_is_what_it_was(tmp_path: Path) -> None:
    runtime = Runtime(text_bento_model(tmp_path / "model"), ServiceSettings.read(access_log=False))
    runtime.load()
    body = ask(app_of(runtime), "POST", "/classify", json=GOOD).json()
    assert list(body) == ["label", "probability", "top", "model_version", "prediction_id", "review"]
    assert [list(each) for each in body["top"]] == [["label", "probability"]] * 3


OUTPUTS = [{"name": "price", "type": "double"}, {"name": "rooms", "type": "long"}, {"name": "kind", "type": "string"}]
NUMBER = {"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}}


@pytest.mark.parametrize(
    ("task", "value", "outputs", "model", "answer"),
    [
        ("regression", 3.2, [NUMBER], {}, {"prediction": 3.2}),
        ("regression", 3, [{"type": "long"}], {}, {"prediction": 3}),
        ("regression", {"$number": "NaN"}, [], {}, {"prediction": None}),
        ("clustering", 4, [], {}, {"prediction": 4}),
        ("other", ["a", [1.5, {"$number": "Infinity"}]], [], {}, {"prediction": ["a", [1.5, None]]}),
        (
            "multioutput",
            {"price": 3.2, "rooms": 4, "kind": "flat"},
            OUTPUTS,
            {},
            {"prediction": {"price": 3.2, "rooms": 4, "kind": "flat"}},
        ),
        (
            "multilabel",
            ["b"],
            [],
            {"classes": ("a", "b"), "probabilities": [0.2, 0.9]},
            {"labels": [{"label": "a", "probability": 0.2, "given": False}, {"label": "b", "probability": 0.9, "given": True}]},
        ),
        (
            "multilabel",
            ["a"],
            [],
            {"classes": ("a", "b")},
            {"labels": [{"label": "a", "probability": None, "given": True}, {"label": "b", "probability": None, "given": False}]},
        ),
    ],
)
def test_a_model_that_is_no_classifier_predicts(  # noqa: PLR0917 - pytest passes them by name
    tmp_path: Path, task: Task, value: Any, outputs: Any, model: dict[str, Any], answer: Any
) -> None:
    runtime, _ = adopted_runtime(tmp_path, task, lambda _: value, outputs=outputs, **model)
    app = app_of(runtime)
    body = ask(app, "POST", "/predict", json=GOOD).json()
    assert {name: each for name, each in body.items() if name not in ("model_version", "prediction_id")} == answer
    assert body["model_version"] == "7"
    assert body["prediction_id"].endswith("9f86d081") or "9f86d081" in body["prediction_id"]
    conforms(app, body)
    batch = ask(app, "POST", "/predict/batch", json={"records": [GOOD, GOOD]}).json()
    assert [{**each, "prediction_id": ""} for each in batch["predictions"]] == [{**body, "prediction_id": ""}] * 2
    refused(ask(app, "POST", "/predict", json={"text": SECRET, "more": 1}), 422, "invalid_record", "more")
    refused(ask(app, "POST", "/predict", json=GOOD, headers={"x-least-model-version": "8"}), 409, "version_not_served")
    document = ask(app, "GET", "/openapi.json").json()
    assert "/predict" in document["paths"]
    assert "/classify" not in document["paths"]
    assert 'route="/predict",status="200"' in ask(app, "GET", "/metrics").text
    card = ask(app, "GET", "/model").json()
    assert (card["adopted"], card["task"], card["golden_origin"], card["flavor"]) == (True, task, "signature", "sklearn")
    assert (card["pickled"], card["python"], card["libraries"]) == (True, "3.11", {})


@pytest.mark.parametrize("prefix", ["", "/models/test"])
def test_a_path_of_the_other_task_names_the_right_one(tmp_path: Path, prefix: str) -> None:
    number, _ = adopted_runtime(tmp_path / "number", "regression", lambda _: 1.0)
    label, _ = adopted_runtime(tmp_path / "label", "classification", lambda _: 1, classes=(0, 1))
    for runtime, wrong, right in ((number, "/classify", "/predict"), (label, "/predict", "/classify")):
        if prefix:
            runtime.others["test"] = runtime
        app = app_of(runtime)
        for end in ("", "/batch"):
            answer = ask(app, "POST", prefix + wrong + end, json=GOOD)
            refused(answer, 404, "not_found")
            assert answer.json()["message"].endswith(f"send the request to {prefix}{right}{end}")
        assert ask(app, "POST", f"{prefix}{right}", json=GOOD).status_code == 200
        refused(ask(app, "GET", wrong), 405, "wrong_method")
        refused(ask(app, "POST", f"/models/nothing{right}", json=GOOD), 404, "not_found")


@pytest.fixture
def failing(tmp_path: Path) -> tuple[ClassifyEndpoint, Hosted]:
    runtime, hosted = adopted_runtime(tmp_path, "regression", lambda _: 1.0)
    return app_of(runtime), hosted


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (ValueError(SECRET), 422, "invalid_record"),
        (ModelEndedError(SECRET, hint="passerelle status"), 503, "model_ended"),
        (ModelTimeoutError(SECRET, hint="passerelle status"), 504, "too_slow"),
        (DigestError("the model's file changed", hint="passerelle status"), 503, "model_changed"),
    ],
)
def test_a_failure_of_the_models_process_is_answered(
    failing: tuple[ClassifyEndpoint, Hosted], capfd: pytest.CaptureFixture[str], failure: Exception, status: int, code: str
) -> None:
    app, hosted = failing
    hosted.failure = failure
    refused(ask(app, "POST", "/predict", json={"text": SECRET}), status, code)
    refused(ask(app, "POST", "/predict/batch", json={"records": [{"text": SECRET}]}), status, code)
    printed = capfd.readouterr()
    assert SECRET not in printed.out + printed.err
    hosted.failure = None
    assert ask(app, "POST", "/predict", json=GOOD).status_code == 200


def test_readiness_says_that_the_process_ended(failing: tuple[ClassifyEndpoint, Hosted]) -> None:
    app, hosted = failing
    assert ask(app, "GET", "/readyz").status_code == 200
    hosted.ended = True
    answer = ask(app, "GET", "/readyz")
    assert (answer.status_code, answer.json()) == (503, {"ready": False, "model_version": "7", "reason": "model_ended"})
    refused(ask(app, "POST", "/predict", json=GOOD), 503, "model_ended")
