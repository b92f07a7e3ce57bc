"""Labels that are no texts, in the prediction log, in feedback and in a candidate's comparison: one text for each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from passerelle.log_settings import LogSettings
from passerelle.model.answer import label_text, plain_label
from passerelle.model.prediction_id import new_prediction_id
from passerelle.monitoring.prediction_log.writer import PredictionLog
from passerelle.serving.contract import RequestError
from passerelle.serving.endpoint import ClassifyEndpoint
from passerelle.serving.feedback import FeedbackIntake, feedback_schema, labels_of
from passerelle.serving.following.shadow import ShadowQueue, ShadowRecord
from passerelle.serving.pages.app import build_app
from tests.unit.monitoring.prediction_log.answers import lines_of
from tests.unit.serving.adopted import RUN, adopted_runtime
from tests.unit.serving.test_endpoint import ask

NAMES = {"0": "délai", "1": "voirie"}


def classifier(folder: Path, *classes: object, names: dict[str, str] | None = None) -> Any:
    return adopted_runtime(folder, "classification", lambda _: classes[1], classes=classes, labels=names, probabilities=[0.3, 0.7])[0]


def test_the_log_names_a_label_by_its_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSERELLE_PREDICTION_LOG", str(tmp_path / "log"))
    for name, runtime in (
        ("label", classifier(tmp_path / "label", 0, 1)),
        ("number", adopted_runtime(tmp_path / "number", "regression", lambda _: 3.2)[0]),
        ("cluster", adopted_runtime(tmp_path / "cluster", "clustering", lambda _: 4)[0]),
    ):
        app = ClassifyEndpoint(build_app(runtime), runtime=runtime)
        answer = ask(app, "POST", runtime.answers.path, json={"text": name})
        assert answer.status_code == 200
        log = cast("PredictionLog", runtime.prediction_log)
        log.start()
        log.close()
    lines = lines_of(tmp_path / "log")
    assert [(line["label"], line["second_label"], line["probability"]) for line in sorted(lines, key=lambda line: str(line["label"]))] == [
        ("", None, None),
        ("1", "0", 0.7),
        ("4", None, None),
    ]


@pytest.mark.parametrize(
    ("classes", "names", "taken", "refused"),
    [
        ((0, 1), None, {"1": "1", '"1"': "1", "0": "0"}, ["2", "true", "1.0", '"one"', "null", "[1]", "{}", '""']),
        ((0, 1), NAMES, {"1": "1", '"voirie"': "1", '"délai"': "0"}, ['"autre"']),
        ((False, True), None, {"true": "True", '"False"': "False"}, ["1", "0", '"true"']),
        ((1.0, 2.5), None, {"1": "1.0", "1.0": "1.0", "2.5": "2.5"}, ["2", "true"]),
        (("1", "0"), {'"1"': "0"}, {'"0"': "0", '"1"': "1"}, ["1"]),
    ],
)
def test_feedback_takes_a_label_its_text_or_its_name(
    tmp_path: Path, classes: Any, names: Any, taken: dict[str, str], refused: list[str]
) -> None:
    runtime = classifier(tmp_path / "model", *classes, names=names)
    log = PredictionLog(LogSettings.read({}, prediction_log=str(tmp_path / "log")))
    intake = FeedbackIntake(runtime, log, days=730)
    for label in taken:
        body = f'{{"prediction_id": "{new_prediction_id(RUN[:8])}", "label": {label}}}'
        intake.accept(body.encode(), "portal")
    for label in refused:
        with pytest.raises(RequestError) as found:
            intake.accept(f'{{"prediction_id": "{new_prediction_id(RUN[:8])}", "label": {label}}}'.encode(), "portal")
        assert (found.value.status, found.value.code, found.value.field) == (422, "invalid_feedback", "label")
    log.start()
    log.close()
    assert [line["label"] for line in lines_of(tmp_path / "log", "feedback")] == list(taken.values())


def test_feedback_on_a_model_without_classes_is_refused(tmp_path: Path) -> None:
    runtime, _ = adopted_runtime(tmp_path / "model", "multilabel", lambda _: ["a"], classes=("a", "b"))
    intake = FeedbackIntake(runtime, PredictionLog(LogSettings.read({}, prediction_log=str(tmp_path / "log"))), days=730)
    with pytest.raises(RequestError, match="") as found:
        intake.accept(json.dumps({"prediction_id": new_prediction_id(RUN[:8]), "label": "a"}).encode(), "portal")
    assert found.value.message == "the model is no classifier, and feedback is about classes"
    assert labels_of(cast("Any", runtime.model)) == {}


def test_the_schema_of_feedback_says_which_labels_there_are(tmp_path: Path) -> None:
    contract = classifier(tmp_path, 0, 1).contract
    label = feedback_schema(contract, texts=False).model_json_schema()["properties"]["label"]
    assert label["type"] == ["string", "integer", "number", "boolean"]
    assert feedback_schema(contract).model_json_schema()["properties"]["label"]["type"] == "string"


def test_a_shadow_compares_labels_of_one_type(tmp_path: Path) -> None:
    model = classifier(tmp_path, 0, 1).ready()
    counted: list[Any] = []

    class Counts:
        def __getattr__(self, name: str) -> Any:
            return lambda *given: counted.append((name, *given[1:]))

    queue = ShadowQueue(cast("Any", Counts()), 0.5)
    queue.score(ShadowRecord(3, model, {"text": "a"}, 1, 0.6))
    assert ("shadowed", "same") in counted
    assert next(each[-1] for each in counted if each[0] == "answered") == [("1", False)]
    assert next(each[-1] for each in counted if each[0] == "differed") == pytest.approx(0.1)


def test_what_is_no_scalar_becomes_its_text() -> None:
    import numpy as np

    labels: list[Any] = [np.int64(1), np.bool_(True), np.str_("a"), np.float64(1.5), None, (1, 2), "b"]
    assert list(map(plain_label, labels)) == [1, True, "a", 1.5, "None", "(1, 2)", "b"]
    assert [type(plain_label(label)) for label in labels[:4]] == [int, bool, str, float]
    assert [label_text(label) for label in (1, True, 1.5, "a")] == ["1", "True", "1.5", "a"]
