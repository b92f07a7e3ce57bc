"""The quicker ways to an answer, and what an answer repeats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from passerelle.model.host import loop
from passerelle.model.host.loop import ReadModel
from passerelle.model.host.quick import QuickWays
from passerelle.model.host.tables import Tables

INPUTS: list[dict[str, Any]] = [{"name": "word", "type": "string"}, {"name": "n", "type": "long"}]
RECORD: dict[str, Any] = {"word": "a", "n": 3}


class Counting:
    """Answers with n; says what it was given."""

    task, classes, takes_rows = "regression", None, True

    def __init__(self, quick_answer: int = 3) -> None:
        self.given: list[str] = []
        self.quick_answer = quick_answer

    def predict(self, table: Any, params: Any) -> Any:  # noqa: ARG002 - as the readers have it
        self.given.append("plain")
        return [int(n) for n in table["n"]], None

    def quick(self, given: Any) -> Any:
        self.given.append(type(given).__name__)
        return [self.quick_answer] * len(given), None


def test_rows_are_given_once_they_gave_the_same_answers() -> None:
    model = Counting()
    ways = QuickWays(model, Tables(INPUTS, "table"))
    for _ in range(8):
        assert ways.predict([RECORD], {}) == ([3], None)
    model.given.clear()
    assert ways.predict([RECORD], {}) == ([3], None)
    assert model.given == ["list"], "no table is made any more"
    ways.predict([RECORD | {"word": None}], {})
    assert model.given[1:] == ["plain"], "a missing value is not in a row"


def test_rows_are_given_up_at_the_first_difference() -> None:
    model = Counting(quick_answer=4)
    ways = QuickWays(model, Tables(INPUTS, "table"))
    assert [ways.predict([RECORD], {}) for _ in range(12)] == [([3], None)] * 12
    assert model.given.count("list") == 1


def test_the_task_is_said_when_it_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = Counting()
    monkeypatch.setattr(loop, "read_model", lambda _: model)
    message = {"folder": str(tmp_path), "flavor": "catboost", "inputs": INPUTS, "form": "table"}
    answering = ReadModel(message, lambda _: True)
    assert answering.answer({"records": [RECORD]}) == {"values": [3], "probabilities": None, "task": "regression", "classes": None}
    assert answering.answer({"records": [RECORD]}) == {"values": [3], "probabilities": None}
    model.task = "multioutput"
    assert answering.answer({"records": [RECORD]})["task"] == "multioutput"
