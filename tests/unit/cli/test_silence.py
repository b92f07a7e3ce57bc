"""A command that prints nothing says every few seconds that it is still at work, and leaves no thread."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from passerelle.cli.output import Output
from passerelle.cli.silence import Silence, heard, no_long_silence, silence_from_here


def of_clock(lines: list[str]) -> tuple[Silence, list[float]]:
    now = [100.0]
    return Silence(lambda: "promote", lines.append, longest_s=5.0, clock=lambda: now[0]), now


def test_a_stage_that_waits_is_told_of_each_time_that_the_silence_was_long() -> None:
    lines: list[str] = []
    watched, now = of_clock(lines)
    for now[0], left in ((104.0, 1.0), (105.0, 5.0), (107.0, 3.0), (110.5, 5.0)):
        assert watched.break_if_long() == left
    assert lines == ["  promote is still at work, 5 s", "  promote is still at work, 10 s"]


def test_what_is_printed_breaks_the_silence() -> None:
    lines: list[str] = []
    watched, now = of_clock(lines)
    now[0] = 104.0
    watched.heard()
    now[0] = 108.0
    assert (watched.break_if_long(), lines) == (1.0, [])


def test_a_pipe_that_nobody_reads_ends_no_thread() -> None:
    def closed(_: str) -> None:
        raise BrokenPipeError

    now = [0.0]
    watched = Silence(lambda: "promote", closed, longest_s=5.0, clock=lambda: now[0])
    now[0] = 9.0
    assert watched.break_if_long() == 5.0


def test_whatever_a_command_prints_is_heard(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    output = Output(as_json=False)
    ways: tuple[Callable[[], None], ...] = (
        lambda: output.progress("a line"),
        lambda: output.line("a line"),
        lambda: output.table(("a",), [("b",)]),
    )
    for print_something in ways:
        count: list[bool] = []
        monkeypatch.setattr(Silence, "heard", lambda _, count=count: count.append(True))
        with no_long_silence(lambda: "promote", lambda _: None):
            print_something()
        assert count
    assert capsys.readouterr().out


def test_the_thread_speaks_and_ends_with_the_command() -> None:
    said = threading.Event()
    watched = Silence(lambda: "promote", lambda _: said.set(), longest_s=0.01)
    watched.start()
    assert said.wait(10)
    watched.end()
    with no_long_silence(lambda: "serve", lambda _: None):
        assert [thread.name for thread in threading.enumerate()].count("silence") == 1
        silence_from_here()
        assert "silence" not in [thread.name for thread in threading.enumerate()]
        heard()
    assert "silence" not in [thread.name for thread in threading.enumerate()]
