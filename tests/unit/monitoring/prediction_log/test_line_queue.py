"""Who makes the lines of the prediction log: the event loop those of short records, the thread all others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from passerelle.log_settings import LogSettings
from passerelle.model.prediction_id import new_prediction_id
from passerelle.monitoring.prediction_log import writer
from passerelle.monitoring.prediction_log.content import LoggedContent
from passerelle.monitoring.prediction_log.line_queue import LineQueue
from passerelle.monitoring.prediction_log.log_metrics import LogMetrics
from passerelle.monitoring.prediction_log.record import LoggedFeedback
from tests.unit.monitoring.prediction_log.answers import answered, log_of

LONG: dict[str, object] = {"text": "mot " * 300}
FEEDBACK = LoggedFeedback("id", "at", "m", "key", "b", "", comment="M. Dupont a écrit")


def queue(most: int = 1_000, **settings: Any) -> LineQueue:
    made = LineQueue(LoggedContent(LogSettings.read({}, **settings)), LogMetrics(None), most)
    made.prepare()
    return made


def keys_of(lines: bytes) -> list[str]:
    return [json.loads(line)["key_name"] for line in lines.splitlines()]


def test_short_answers_are_made_lines_without_the_thread() -> None:
    waiting = queue()
    for number in range(16):
        waiting.put(answered(number))
    # Without time for the thread to make any, these are the ones that the event loop made.
    lines = waiting.take(0.0)
    assert (keys_of(lines.predictions), lines.records) == ([f"key-{number}" for number in range(16)], 16)
    assert len(waiting) == 0


@pytest.mark.parametrize("first", [answered(0, LONG), answered(0, batch=True), FEEDBACK])
def test_what_takes_long_is_left_to_the_thread(first: Any) -> None:
    waiting = queue()
    waiting.put(first)
    for number in range(1, 40):
        waiting.put(answered(number))
    lines = waiting.take(0.0)
    assert keys_of(lines.predictions) == [f"key-{number}" for number in range(1, 40)]
    assert waiting.take(60.0).records == 1


def test_both_threads_remember_the_time_and_the_model_by_themselves() -> None:
    waiting = queue()
    first, second = answered(0, LONG), answered(1)
    first.answer["prediction_id"] = new_prediction_id("9f86d081", 1_000_000_000)  # type: ignore[index]
    waiting.put(first)
    waiting.put(second)
    assert waiting._content is not waiting._content_at_once
    times = [json.loads(line)["at"][:4] for line in waiting.take(60.0).predictions.splitlines()]
    assert times[1] == "2001"
    assert times[0] != "2001"


def test_lines_are_not_made_before_the_rules_are_loaded() -> None:
    waiting = LineQueue(LoggedContent(LogSettings.read({}, log_text="redacted")), LogMetrics(None), 100)
    for number in range(20):
        waiting.put(answered(number))
    assert waiting.take(0.0).records == 0


def test_a_few_that_came_during_a_write_wait_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_of(tmp_path)
    log._queue.prepare()
    monkeypatch.setattr(log, "_write", lambda: None)  # stands for a write that ends before these come
    for number in range(15):
        log.add(answered(number, batch=True))
    for number in range(100):
        log.add(answered(number))
    assert log._turn() == writer._PAUSE_S
    log.add(answered(15, batch=True))
    assert log._turn() < writer._PAUSE_S


def test_lines_that_wait_fill_the_queue_like_records() -> None:
    waiting = queue(most=20)
    for number in range(20):
        assert not waiting.full
        waiting.put(answered(number))
    assert waiting.full
    assert waiting.clear() == 20
    assert (len(waiting), waiting._characters_put - waiting._characters_taken) == (0, 0)


def test_lines_count_with_their_length_until_they_are_taken() -> None:
    waiting = queue(log_text="full")
    for number in range(16):
        waiting.put(answered(number))
    kept = waiting._characters_put - waiting._characters_taken
    lines = waiting.take(0.0)
    assert (kept, waiting._characters_put - waiting._characters_taken) == (len(lines.predictions), 0)
