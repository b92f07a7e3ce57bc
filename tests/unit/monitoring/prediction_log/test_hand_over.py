"""What is handed over to the process that writes: plain values, in order, bounded, and never waited for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from passerelle.monitoring.prediction_log.hand_over import TOGETHER, HandOver
from passerelle.monitoring.prediction_log.log_messages import MODELS, RECORDS, MessageReader
from passerelle.monitoring.prediction_log.record import LoggedFeedback
from tests.unit.monitoring.prediction_log.answers import MODEL, answered, log_of, put

FEEDBACK = LoggedFeedback("id", "at", "m", "key", "b", "", comment="M. Dupont a écrit")


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def messages_of(end: int) -> list[Any]:
    os.set_blocking(end, False)
    reader, found = MessageReader(end), list[Any]()
    try:
        while not reader.ended:
            found += [message for message, _ in reader.read()]
    except BlockingIOError:
        pass
    return found


def test_a_process_is_told_its_settings_and_the_models_before_the_records(pipe: tuple[int, int]) -> None:
    hand_over = HandOver()
    number = hand_over.number_of(MODEL)
    record = (number, *answered(1))
    assert hand_over.put([record]) == 0
    hand_over.connect(pipe[1], ("folder", ()))
    first, second, *_, last = messages_of(pipe[0])
    assert first == (None, ("folder", ()))
    assert second == (MODELS, {number: ("classification", "sha256:00", [b'{"text":"golden"}'])})
    assert last == (RECORDS, [record])
    assert (hand_over.sent, hand_over.unsent, hand_over.is_empty) == (1, 0, True)


def test_a_pipe_that_is_full_is_not_waited_for(pipe: tuple[int, int]) -> None:
    hand_over = HandOver()
    hand_over.connect(pipe[1], ())
    for number in range(40):
        hand_over.put([(0, *answered(number, {"text": "x" * 100_000}))])
        hand_over.pump()
    assert hand_over.unsent > 10
    assert hand_over.sent + hand_over.unsent == 40
    found = list[Any]()
    reader = MessageReader(pipe[0])
    while len(found) < 42:
        found += [message for message, _ in reader.read()]
        hand_over.pump()
    assert [content[0][11] for kind, content in found if kind == RECORDS] == [f"key-{number}" for number in range(40)]


def test_what_no_pipe_takes_as_it_is_becomes_plain_or_is_left_out(pipe: tuple[int, int]) -> None:
    hand_over = HandOver()
    hand_over.connect(pipe[1], ())
    at = datetime(2026, 9, 22, 12, tzinfo=UTC)
    records: list[tuple[Any, ...]] = [
        (0, *answered(0, {"at": at})),
        (0, *answered(1, {"odd": object()})),
        (0, *answered(2)),
    ]
    assert hand_over.put(records) == 1
    hand_over.pump()
    *_, (_, found) = messages_of(pipe[0])
    assert [each[11] for each in found] == ["key-0", "key-2"]
    assert found[0][1] == {"at": "2026-09-22T12:00:00+00:00"}


def test_a_version_that_takes_over_has_a_number_of_its_own_and_the_same_one_again(pipe: tuple[int, int]) -> None:
    hand_over = HandOver()
    versions = [type(MODEL)(**(vars(MODEL) | {"lineage": MODEL.lineage | {"artifact_digest": f"sha256:{each}"}})) for each in range(20)]
    assert [hand_over.number_of(each) for each in versions] == list(range(20))
    assert hand_over.number_of(versions[19]) == 19
    hand_over.connect(pipe[1], ())
    _, (_, models), *_ = messages_of(pipe[0])
    assert sorted(models) == list(range(4, 20))  # those that answer nothing any more are forgotten


def test_records_are_handed_over_together(tmp_path: Path) -> None:
    log = log_of(tmp_path)
    for number in range(TOGETHER):
        assert put(log, number)
    assert log._hand_over.unsent == 0
    assert put(log)
    assert (log._hand_over.unsent, len(log._records)) == (TOGETHER, 1)
    put(log, record={"text": "x" * 5_000})
    put(log)
    assert (log._hand_over.unsent, len(log._records)) == (TOGETHER + 2, 1)


@pytest.mark.parametrize("most", [20, 200])
def test_what_waits_is_bounded(tmp_path: Path, most: int) -> None:
    log = log_of(tmp_path, log_queue=most)
    assert [put(log, number) for number in range(most + 2)] == [True] * most + [False] * 2
    assert not log.add_feedback(FEEDBACK)


def test_half_of_the_queue_is_for_answers(tmp_path: Path) -> None:
    log = log_of(tmp_path, log_queue=4)
    assert [log.add_feedback(FEEDBACK) for _ in range(4)] == [True, True, True, False]
    assert [put(log, number) for number in range(2)] == [True, False]
