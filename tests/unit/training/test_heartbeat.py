"""Nobody waits long for a line: what goes on is said again and again."""

from __future__ import annotations

import threading

from passerelle.training.cross_validation import ALL
from passerelle.training.heartbeat import FitSteps, Heartbeat


def test_a_long_step_is_said_again_and_again() -> None:
    lines: list[str] = []
    twice = threading.Event()

    def progress(line: str) -> None:
        lines.append(line)
        if len(lines) > 2:
            twice.set()

    with Heartbeat(progress, silence_s=0.01) as heartbeat:
        heartbeat.say("begun")
        heartbeat.step("fitting word_lr, fold 1 of 5")
        assert twice.wait(30)
    assert lines[0] == "begun"
    assert lines[-1] == "still fitting word_lr, fold 1 of 5"
    number = len(lines)
    assert not threading.Event().wait(0.03)
    assert len(lines) == number, "nothing is said once the training has ended"


def test_each_fold_is_said_once_it_is_done() -> None:
    lines: list[str] = []
    with Heartbeat(lines.append) as heartbeat:
        steps = FitSteps(heartbeat, ["word_lr", "mixed_lr"], folds=2)
        for place, fold in ((0, 1), (1, 1), (0, 2), (1, 2)):
            steps.before(place, fold)
        steps.crossed()
        steps.before(ALL, 0)
    assert lines == ["fold 1 of 2 done", "fold 2 of 2 done"]
