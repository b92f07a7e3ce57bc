"""What `drift` and `monitor` say of drift, and of what is not known."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from passerelle.cli import show, show_drift
from passerelle.cli.output import Output
from passerelle.monitoring.drift.last_result import LastDrift
from passerelle.monitoring.figures import Figures
from tests.unit.monitoring.drift.days import day, found, history

FIGURES = Figures("http://here", "3", {"200": 2}, None, None, {}, None)


def test_a_quiet_day_is_a_line_and_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    show_drift.drift(Output(as_json=False), found(history(), None))
    text = capsys.readouterr().out
    assert text.startswith("comments, 2026-01-31: nothing unusual\nanswers: 100 on that day, 700 in 7 days\n")
    assert "not known: Languages and new words: texts are not logged." in text
    assert "usual" in text


def test_programs_get_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    show_drift.drift(Output(as_json=True), found(history([day(back, {}) for back in (2, 1, 0)])))
    content = json.loads(capsys.readouterr().out)
    assert (content["state"], content["silent_days"], content["day"], len(content["points"])) == ("alarm", 3, "2026-01-31", 35)


@pytest.mark.parametrize(
    ("last", "lines"),
    [
        (None, "drift: not looked at yet\n  next: passerelle drift\n"),
        (LastDrift("comments", "2026-01-31", "too_few", ("few answers",)), "drift of comments on 2026-01-31: too few\n  few answers\n"),
    ],
)
def test_monitor_shows_the_last_result(last: LastDrift | None, lines: str, capsys: pytest.CaptureFixture[str]) -> None:
    show.figures(Output(as_json=False), replace(FIGURES, drift=last))
    assert capsys.readouterr().out.endswith(lines)


def test_monitor_leads_to_drift_once_a_day_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    show.figures(Output(as_json=False), replace(FIGURES, day_is_over=False))
    assert capsys.readouterr().out.endswith("drift: nothing to look at yet; the prediction log here holds no day that is over (UTC)\n")
