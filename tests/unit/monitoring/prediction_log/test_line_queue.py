"""Who makes the lines of the prediction log: the event loop some short ones at a time, the thread all others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from passerelle.log_settings import LogSettings
from passerelle.monitoring.prediction_log import line_queue, writer
from passerelle.monitoring.prediction_log.content import LoggedContent
from passerelle.monitoring.prediction_log.line_queue import LineQueue
from passerelle.monitoring.prediction_log.log_metrics import LogMetrics
from passerelle.monitoring.prediction_log.record import LoggedFeedback
from tests.unit.monitoring.prediction_log.answers import answered, log_of

LONG: dict[str, object] = {"text": "mot " * 300}
FEEDBACK = LoggedFeedback("id", "at", "m", "key", "b", "", comment="M. Dupont a écrit")


@pytest.fixture(autouse=True)
def _without_a_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_queue, "_LONGEST_S", 60.0)


def queue(most: int = 1_000, **settings: Any) -> LineQueue:
    made = LineQueue(LoggedContent(LogSettings.read({}, **settings)), LogMetrics(None), most)
    made.prepare()
    return made


def keys_of(lines: bytes) -> list[str]:
    return [json.loads(line)["key_name"] for line in lines.splitlines()]


def test_sixteen_short_answers_are_made_lines_without_the_thread() -> None:
    waiting = queue()
    for number in range(15):
        waiting.put(answered(number))
    assert waiting.take(0.0).records == 0
    waiting.put(answered(15))
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
    assert waiting.take(0.0).records == 0
    lines = waiting.take(60.0)
    assert lines.records == 40
    assert keys_of(lines.predictions)[-39:] == [f"key-{number}" for number in range(1, 40)]


def test_the_event_loop_stops_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_queue, "_LONGEST_S", -1.0)
    waiting = queue()
    for number in range(20):
        waiting.put(answered(number))
    assert waiting.take(0.0).records == 0


def test_the_event_loop_never_waits_for_the_thread() -> None:
    waiting = queue()
    with waiting._making:  # as the thread has it while it makes lines
        for number in range(20):
            waiting.put(answered(number))
    assert waiting.take(0.0).records == 0
    assert len(waiting) == 20


def test_lines_are_not_made_before_the_rules_are_loaded() -> None:
    waiting = LineQueue(LoggedContent(LogSettings.read({}, log_text="redacted")), LogMetrics(None), 100)
    for number in range(20):
        waiting.put(answered(number))
    assert waiting.take(0.0).records == 0


def test_a_few_that_came_during_a_write_wait_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_of(tmp_path)
    monkeypatch.setattr(log, "_write", lambda: None)  # stands for a write that ends before these come
    for number in range(15):
        log.add(answered(number))
    assert log._turn() == writer._PAUSE_S
    log.add(answered(15))
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
