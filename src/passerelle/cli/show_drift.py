"""What a day's answers show, for people at a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerelle.cli.output import Output
from passerelle.cli.terminal import Tone

if TYPE_CHECKING:
    from passerelle.monitoring.drift.drift_result import DriftResult
    from passerelle.monitoring.drift.last_result import LastDrift

_VERDICTS = {"alarm": "ALARM", "counts": "first day", "quiet": "usual", "unknown": "not known"}


def drift(output: Output, result: DriftResult) -> None:
    """Show the result."""
    from passerelle.stages.drift_rows import rows_of  # noqa: PLC0415 - `--help` answers without what a stage imports

    rows = rows_of(result)
    for line in rows.lines:
        output.line(line)
    if rows.table:
        columns = ("figure", "this window", "month before", "held-out rows", "verdict")
        output.table(columns, [(*cells, _VERDICTS[verdict]) for *cells, verdict in rows.table], right=columns[1:4],
                     tones={_VERDICTS["alarm"]: Tone.BAD})  # fmt: skip
    if result.words:
        output.line("words that came up: " + ", ".join(f"{each.word} ({each.texts}, {each.before} before)" for each in result.words))
    for line in rows.unknown:
        output.line(f"not known: {line}")
    output.result(result)


def last(output: Output, found: LastDrift | None, *, day_is_over: bool = True) -> None:
    """Show what `passerelle drift` found last, or whether it has something to look at."""
    if found is None and not day_is_over:
        output.line("drift: nothing to look at yet; the prediction log here holds no day that is over (UTC)")
        return
    if found is None:
        output.line("drift: not looked at yet")
        output.next_commands("passerelle drift")
        return
    output.line(f"drift of {found.registered_model} on {found.day}: {found.state.replace('_', ' ')}")
    for reason in found.reasons:
        output.line(f"  {reason}")
