"""What `POST /feedback` keeps, refuses and recognises as the same, in process and on a real log."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from passerelle.log_settings import LogSettings
from passerelle.model.prediction_id import new_prediction_id
from passerelle.model.record import Column
from passerelle.monitoring.prediction_log.writer import PredictionLog
from passerelle.serving.contract import RequestError, contract_of
from passerelle.serving.feedback import ACCEPTED, FeedbackIntake
from tests.unit.monitoring.prediction_log.answers import lines_of, put

NOON, DAY_S = 1_790_078_400.0, 86_400.0
RUN, OTHER_RUN = "9f86d081", "0a1b2c3d"
ANSWER = new_prediction_id(RUN, NOON - 60)
SECRET = "monsecretadressé"


def model_of(run: str, *labels: str, registered_model: str = "comments") -> Any:
    description = SimpleNamespace(task="classification", label_names=None)
    return SimpleNamespace(prediction_prefix=run, labels=labels, lineage={"registered_model": registered_model}, description=description)


def runtime_of(model: Any = None) -> Any:
    """Return what a runtime is to the feedback."""
    contract = contract_of((Column("text", "string"),), max_text_characters=100, max_records=3, example=None)
    model = model_of(RUN, "Voirie", "Propreté") if model is None else model

    def ready() -> None:
        raise RequestError(503, "not_ready", "the model is not loaded yet")

    metrics = SimpleNamespace(registry=CollectorRegistry())
    settings = SimpleNamespace(max_body_bytes=1_000_000, body_timeout_s=1.0)
    return SimpleNamespace(
        settings=settings,
        contract=contract,
        model=model,
        others={},
        rollout=None,
        metrics=metrics,
        ready=ready,
        registered_model="comments",
    )


class Intake:
    """An intake on a real log, and the time that it reads."""

    def __init__(self, folder: Path, runtime: Any, **settings: Any) -> None:
        self.now, self.folder, self.runtime = NOON, folder, runtime
        self.log = PredictionLog(LogSettings.read({}, prediction_log=str(folder), **settings))
        self.intake = FeedbackIntake(runtime, self.log, days=730, clock=lambda: self.now)

    def send(self, **feedback: Any) -> bytes:
        content = {"prediction_id": ANSWER, "label": "Propreté", **feedback}
        return self.intake.accept(json.dumps(content).encode(), "portal")

    def kept(self) -> list[dict[str, Any]]:
        """Return the feedback in the files, once the log has ended."""
        self.log.start()
        self.log.close()
        return lines_of(self.folder, "feedback")

    def counted(self, about: str) -> float | None:
        registry: CollectorRegistry = self.runtime.metrics.registry
        return registry.get_sample_value("passerelle_feedback_total", {"about": about})


@pytest.fixture
def intake(tmp_path: Path) -> Intake:
    return Intake(tmp_path, runtime_of())


@pytest.fixture
def intakes(tmp_path: Path) -> Iterator[Callable[..., Intake]]:
    yield lambda runtime=None, **settings: Intake(tmp_path, runtime or runtime_of(), **settings)


def test_feedback_is_kept_with_its_key_and_time(intake: Intake) -> None:
    assert intake.send(by="agent-1") == ACCEPTED
    (line,) = intake.kept()
    assert (line["prediction_id"], line["label"], line["by"], line["key_name"]) == (ANSWER, "Propreté", "agent-1", "portal")
    assert (line["at"], line["registered_model"], line["comment"], line["fields"]) == (
        "2026-09-22T12:00:00.000+00:00",
        "comments",
        None,
        None,
    )


def test_the_same_feedback_again_is_accepted_and_written_once(intake: Intake) -> None:
    for _ in range(3):
        assert intake.send(by="agent-1") == ACCEPTED
    intake.send(by="agent-2")
    assert len(intake.kept()) == 2
    assert (intake.counted("served"), intake.counted("repeated")) == (2.0, 2.0)


def test_of_several_the_latest_has_the_latest_time_also_when_the_clock_is_set_back(intake: Intake) -> None:
    for label, now in (("Propreté", NOON), ("Voirie", NOON), ("Propreté", NOON - 30)):
        intake.now = now
        intake.send(label=label)
    lines = intake.kept()
    assert [line["label"] for line in sorted(lines, key=lambda line: str(line["at"]))] == ["Propreté", "Voirie", "Propreté"]


def test_an_answer_of_a_version_that_is_not_known_here_is_kept_and_counted(intake: Intake) -> None:
    intake.send(prediction_id=new_prediction_id(OTHER_RUN, NOON))
    assert len(intake.kept()) == 1
    assert intake.counted("unknown_version") == 1.0


def test_a_version_that_was_served_before_stays_known(intake: Intake) -> None:
    intake.send()
    intake.runtime.model = model_of(OTHER_RUN, "Autre")
    intake.send(label="Voirie")
    assert intake.counted("served") == 2.0
    with pytest.raises(RequestError) as refusal:
        intake.send(prediction_id=new_prediction_id(OTHER_RUN, NOON), label="Voirie")
    assert refusal.value.field == "label"


def test_an_answer_of_another_model_of_the_service_is_checked_against_that_model(intake: Intake) -> None:
    other = runtime_of(model_of(OTHER_RUN, "fr", "en", registered_model="langue"))
    other.contract = contract_of((Column("extrait", "string"),), max_text_characters=100, max_records=3, example=None)
    intake.runtime.others["langue"] = other
    answer = new_prediction_id(OTHER_RUN, NOON)
    intake.send(prediction_id=answer, label="en", record={"extrait": "good"})
    for feedback in ({"label": "Voirie"}, {"label": "en", "record": {"text": "good"}}):
        with pytest.raises(RequestError):
            intake.send(prediction_id=answer, **feedback)
    assert [line["registered_model"] for line in intake.kept()] == ["langue"]


def test_an_answer_of_the_candidate_is_one_of_a_version_that_is_served(intake: Intake) -> None:
    intake.runtime.rollout = SimpleNamespace(model=model_of(OTHER_RUN, "Voirie", "Nouveau"))
    intake.send(prediction_id=new_prediction_id(OTHER_RUN, NOON), label="Nouveau")
    assert intake.counted("served") == 1.0


@pytest.mark.parametrize(
    ("feedback", "field"),
    [
        ({"label": SECRET}, "label"),
        ({"label": ""}, "label"),
        ({"label": 3}, "label"),
        ({"label": None}, "label"),
        ({"prediction_id": SECRET}, "prediction_id"),
        ({"prediction_id": "9f86d081-884c-4d65-9a2f-eaa0c55ad015"}, "prediction_id"),
        ({"prediction_id": "ffffffff-ffff-7d65-9a2f-eaa0c55ad015"}, "prediction_id"),
        ({"prediction_id": new_prediction_id(RUN, NOON + 600)}, "prediction_id"),
        ({"prediction_id": new_prediction_id(RUN, NOON - 731 * DAY_S)}, "prediction_id"),
        ({"by": " "}, "by"),
        ({"by": "x" * 101}, "by"),
        ({"comment": SECRET * 200}, "comment"),
        ({"record": {"text": SECRET * 10}}, "record.text"),
        ({"record": {"text": SECRET, "other": 1}}, "record.other"),
        ({"record": SECRET}, "record"),
        ({"score": 1}, "score"),
    ],
)
def test_what_is_no_feedback_is_refused_by_field_and_never_repeated(intake: Intake, feedback: dict[str, object], field: str) -> None:
    with pytest.raises(RequestError) as refusal:
        intake.send(**feedback)
    assert (refusal.value.status, refusal.value.code, refusal.value.field) == (422, "invalid_feedback", field)
    assert SECRET not in refusal.value.message
    assert intake.kept() == []


@pytest.mark.parametrize("body", [b"", b"{", b'{"label": NaN}', b"\xff", b'{"label": "\\ud800"}'])
def test_what_is_not_json_is_refused(intake: Intake, body: bytes) -> None:
    with pytest.raises(RequestError) as refusal:
        intake.intake.accept(body, "portal")
    assert refusal.value.status == 400


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"3"])
def test_what_is_no_object_is_refused(intake: Intake, body: bytes) -> None:
    with pytest.raises(RequestError) as refusal:
        intake.intake.accept(body, "portal")
    assert refusal.value.status == 422


def test_without_a_model_feedback_is_refused_for_now(intakes: Callable[..., Intake]) -> None:
    runtime = runtime_of()
    runtime.model = None
    with pytest.raises(RequestError) as refusal:
        intakes(runtime).send()
    assert refusal.value.status == 503


def test_of_10000_at_once_each_that_is_accepted_is_kept_and_the_others_are_told(intakes: Callable[..., Intake]) -> None:
    intake = intakes(log_queue=8_000)
    accepted, refused = 0, 0
    for _ in range(10_000):
        try:
            intake.send(prediction_id=new_prediction_id(RUN, NOON))
            accepted += 1
        except RequestError as refusal:
            assert (refusal.status, dict(refusal.headers)) == (503, {b"retry-after": b"1"})
            refused += 1
    assert (accepted, refused) == (4_001, 5_999)
    assert len(intake.kept()) == 4_001


def test_a_flood_of_feedback_leaves_half_of_the_queue_to_answers(intakes: Callable[..., Intake]) -> None:
    intake = intakes(log_queue=10)
    for number in range(6):
        intake.send(by=str(number))
    with pytest.raises(RequestError):
        intake.send(by="6")
    assert all(put(intake.log, number) for number in range(4))
    assert intake.log.state()["dropped"]["queue"] == 0


def test_feedback_that_was_refused_while_the_queue_was_full_is_kept_when_it_comes_again(intakes: Callable[..., Intake]) -> None:
    intake = intakes(log_queue=1)
    intake.send(by="agent-1")
    with pytest.raises(RequestError):
        intake.send(by="agent-2")
    intake.log.start()
    deadline = time.monotonic() + 20
    while intake.log.state()["waiting"] and time.monotonic() < deadline:
        time.sleep(0.01)
    intake.send(by="agent-2")
    intake.log.close()
    assert [line["by"] for line in lines_of(intake.folder, "feedback")] == ["agent-1", "agent-2"]


def test_a_record_that_is_sent_again_is_kept_under_the_rules_of_the_log(intakes: Callable[..., Intake]) -> None:
    record = {"text": "M. Dupont, rue barrée"}
    intake = intakes(log_text="redacted", log_digest_key="k")
    intake.send(record=record, comment="voir Mme Diallo")
    (line,) = intake.kept()
    assert (line["fields"], line["comment"], line["redaction"]) == ({"text": "M. [nom], rue barrée"}, "voir Mme [nom]", 1)
    assert len(line["record_digest"]) == 64


def test_without_texts_in_the_log_neither_comment_nor_record_is_kept(intake: Intake) -> None:
    intake.send(record={"text": SECRET}, comment=SECRET)
    (line,) = intake.kept()
    assert (line["fields"], line["comment"]) == (None, None)
    assert SECRET not in json.dumps(line, ensure_ascii=False)
