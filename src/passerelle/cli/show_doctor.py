"""What `passerelle doctor` found, a line a subject, for people at a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerelle.cli.output import Output
from passerelle.cli.terminal import Tone

if TYPE_CHECKING:
    from passerelle.stages.doctor import Examination

_TONES = {"fine": Tone.GOOD, "warning": Tone.WARNING, "fault": Tone.BAD}


def examination(output: Output, found: Examination) -> None:
    """Show what was found, what mends it below it, and how much of it there is."""
    for each in found.diagnoses:
        output.line(f"{each.health:<11}{each.subject}: {each.message}", _TONES.get(each.health))
        if each.hint is not None:
            output.next_commands(each.hint)
    output.line(_summary(found))
    output.result(found)


def _summary(found: Examination) -> str:
    counts = (_counted(found.faults, "fault"), _counted(found.warnings, "warning"))
    return f"{' and '.join(counts)} among {len(found.diagnoses)} findings"


def _counted(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"
