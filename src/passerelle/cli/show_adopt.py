"""How the result of `adopt` looks."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from passerelle.cli.output import Output

if TYPE_CHECKING:
    from passerelle.stages.adopt import Adopted
    from passerelle.stages.convert import Converted

_ORIGINS = {
    "examples": "the file of examples",
    "input_example": "the logged input example",
    "signature": "inputs that were made from the signature",
}


def adopted(output: Output, result: Adopted) -> None:
    """Show what was recorded of the version."""
    record, what = result.adoption, result.ref or f"a new version of {result.registered_model}"
    if result.completed:
        output.line(f"{what} was adopted before; completed: {', '.join(result.completed)}")
    elif not result.created:
        output.line(f"already done: {what} is adopted, {result.artifact_digest}")
    else:
        output.line(f"{'would adopt ' if result.dry_run else ''}{what}: {result.artifact_digest}")
    classes = f" of {len(result.classes)} classes" if result.classes else ""
    form = "" if record.input_form == "table" else f", which takes its texts as a {record.input_form}"
    output.line(f"  {record.task}{classes}, read as {record.flavor}{' (a pickle)' if record.pickled else ''}{form}, Python {record.python}")
    origin = _ORIGINS[record.golden_origin]
    output.line(f"  {result.golden_inputs} golden predictions from {origin}: they show what changes from here on, not what training saw")
    for warning in result.warnings:
        output.line(f"  warning: {warning}")
    if result.created and not result.dry_run and result.ref is not None:
        promote = f"passerelle promote --model {shlex.quote(result.registered_model)} --version {result.ref.version}"
        convert = f"\npasserelle convert {shlex.quote(result.ref.uri)}" if record.pickled and record.flavor != "python_function" else ""
        output.next_commands(promote + convert)
    output.result(result)


def converted(output: Output, result: Converted) -> None:
    """Show the version that was made of a pickle."""
    if result.ref is None:
        output.line(f"would make a version of {result.ancestor} as {result.form}: {_reproduced(result)}")
    elif not result.created:
        output.line(f"already done: {result.ref} is {result.ancestor} as {result.form}, {result.artifact_digest}")
    else:
        output.line(f"{result.ref}, made of {result.ancestor} as {result.form}: {result.artifact_digest}")
        output.line(f"  {_reproduced(result)}; it runs no code when it is read")
        output.next_commands(f"passerelle promote --model {shlex.quote(result.ref.registered_model)} --version {result.ref.version}")
    output.result(result)


def _reproduced(result: Converted) -> str:
    return f"{result.golden_inputs} golden predictions reproduced, the largest difference {result.golden_difference or 0.0:.2g}"
