"""The process that writes the prediction log leaves the processor to the workers between short turns, and starves neither."""

from __future__ import annotations

import pytest

from passerelle.monitoring.prediction_log.turns import MUCH_BYTES, PAUSE_S, TURN_S, Turns


class Thread:
    """Processor time and pauses of a thread, without a clock."""

    def __init__(self) -> None:
        self.used_s = 0.0
        self.pauses: list[float] = []

    def turns(self) -> Turns:
        return Turns(lambda: self.used_s, self.pauses.append)


def test_others_run_after_each_turn() -> None:
    thread = Thread()
    turns = thread.turns()
    for _ in range(100):
        thread.used_s += 0.3 * TURN_S
        turns.let_others_run()
    assert thread.pauses == [PAUSE_S] * 25


def test_a_long_record_ends_the_turn() -> None:
    thread = Thread()
    turns = thread.turns()
    thread.used_s += 10 * TURN_S
    turns.let_others_run()
    thread.used_s += TURN_S / 2
    turns.let_others_run()
    assert thread.pauses == [PAUSE_S]


@pytest.mark.parametrize(
    ("waiting_bytes", "hurried", "pauses"),
    [
        (0, False, [PAUSE_S]),
        (MUCH_BYTES // 2, False, [PAUSE_S / 2]),
        (MUCH_BYTES, False, []),
        (4 * MUCH_BYTES, False, []),
        (0, True, []),
    ],
)
def test_pauses_are_the_shorter_the_more_waits(waiting_bytes: int, hurried: bool, pauses: list[float]) -> None:
    thread = Thread()
    turns = thread.turns()
    turns.set_pause(waiting_bytes, hurried=hurried)
    thread.used_s += TURN_S
    turns.let_others_run()
    assert thread.pauses == pauses
