"""Who makes the lines of the prediction log: the event loop those of short records, many at a time, the thread all others."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from passerelle.log_settings import LogSettings
from passerelle.model.prediction_id import new_prediction_id
from passerelle.monitoring.prediction_log import writer
from passerelle.monitoring.prediction_log.content import LoggedContent
from passerelle.monitoring.prediction_log.line_queue import TOGETHER, LineQueue
from passerelle.monitoring.prediction_log.log_metrics import LogMetrics
from passerelle.monitoring.prediction_log.record import LoggedFeedback
from tests.unit.monitoring.prediction_log.answers import answered, log_of

LONG: dict[str, object] = {"text": "mot " * 300}
FEEDBACK = LoggedFeedback("id", "at", "m", "key", "b", "", comment="M. Dupont a écrit")


def queue(most: int = 1_000, **settings: Any) -> LineQueue:
    made = LineQueue(LoggedContent(LogSettings.read({}, **settings)), LogMetrics(None), most)
    made.prepare()
    return made


def put(waiting: LineQueue, item: Any) -> None:
    assert waiting.put_feedback(item) if isinstance(item, LoggedFeedback) else waiting.put(item)


def keys_of(lines: bytes) -> list[str]:
    return [json.loads(line)["key_name"] for line in lines.splitlines()]


def test_short_answers_are_made_lines_without_the_thread() -> None:
    waiting = queue()
    for number in range(TOGETHER + 1):
        assert waiting.put(answered(number))
    # Without time for the thread to make any, these are the ones that the event loop made.
    lines = waiting.take(0.0)
    assert (keys_of(lines.predictions), lines.records) == ([f"key-{number}" for number in range(TOGETHER)], TOGETHER)
    # The last one waits for others, or for the thread.
    assert len(waiting) == 1
    assert keys_of(waiting.take(60.0).predictions) == [f"key-{TOGETHER}"]


@pytest.mark.parametrize("first", [answered(0, LONG), answered(0, batch=True), FEEDBACK])
def test_what_takes_long_is_left_to_the_thread(first: Any) -> None:
    waiting = queue()
    put(waiting, first)
    for number in range(1, TOGETHER + 2):
        waiting.put(answered(number))
    lines = waiting.take(0.0)
    by_event_loop = len(lines.predictions.splitlines())
    assert by_event_loop >= TOGETHER - 1
    assert keys_of(lines.predictions) == [f"key-{number}" for number in range(1, by_event_loop + 1)]
    rest = waiting.take(60.0)
    assert rest.records == TOGETHER + 2 - by_event_loop
    assert b"key-0" in rest.predictions or rest.feedback


def test_both_threads_remember_the_time_and_the_model_by_themselves() -> None:
    waiting = queue()
    first, second = answered(0, LONG, prediction_id=new_prediction_id("9f86d081", 1_000_000_000)), answered(1)
    for each in (first, *[second] * TOGETHER):
        waiting.put(each)
    assert waiting._content is not waiting._content_at_once
    *others, by_thread = [json.loads(line)["at"][:4] for line in waiting.take(60.0).predictions.splitlines()]
    assert by_thread == "2001"
    assert "2001" not in others


def test_lines_are_not_made_before_the_rules_are_loaded() -> None:
    waiting = LineQueue(LoggedContent(LogSettings.read({}, log_text="redacted")), LogMetrics(None), 100)
    for number in range(TOGETHER + 1):
        waiting.put(answered(number))
    assert waiting.take(0.0).records == 0


def test_a_few_that_came_during_a_write_wait_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_of(tmp_path)
    log._queue.prepare()
    monkeypatch.setattr(log, "_write", lambda: None)  # stands for a write that ends before these come
    for number in range(15):
        log.add(answered(number, batch=True))
    for number in range(TOGETHER):
        log.add(answered(number))
    assert (len(log._queue._waiting), log._turn()) == (15, writer._PAUSE_S)
    for number in range(TOGETHER):
        log.add(answered(number, batch=True))
    log.add(answered())
    assert log._turn() < writer._PAUSE_S


@pytest.mark.parametrize("most", [20, 200])
def test_lines_that_wait_fill_the_queue_like_records(most: int) -> None:
    waiting = queue(most)
    assert [waiting.put(answered(number)) for number in range(most + 2)] == [True] * most + [False] * 2
    assert not waiting.put_feedback(FEEDBACK)
    assert waiting.clear() == most
    assert (len(waiting), waiting._characters_put - waiting._characters_taken) == (0, 0)
    assert waiting.put(answered())


def test_half_of_the_queue_is_for_answers() -> None:
    waiting = queue(most=4)
    assert [waiting.put_feedback(FEEDBACK) for _ in range(4)] == [True, True, True, False]
    assert [waiting.put(answered(number)) for number in range(2)] == [True, False]


def test_lines_count_with_their_length_until_they_are_taken() -> None:
    waiting = queue(log_text="full")
    for number in range(TOGETHER + 1):
        waiting.put(answered(number))
    kept = waiting._characters_put - waiting._characters_taken
    lines = waiting.take(0.0)
    assert (kept, waiting._characters_put - waiting._characters_taken) == (len(lines.predictions), 0)


def test_answers_are_taken_by_both_threads_at_once_and_none_is_lost() -> None:
    waiting, most = queue(most=30_000), 5_000
    found: list[str] = []
    putting = threading.Thread(target=lambda: [waiting.put(answered(number)) for number in range(most)])
    putting.start()
    while putting.is_alive() or len(waiting):
        found += keys_of(waiting.take(0.001).predictions)
    assert sorted(found) == sorted(f"key-{number}" for number in range(most))
