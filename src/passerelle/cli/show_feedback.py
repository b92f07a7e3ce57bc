"""How feedback looks."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from passerelle.cli.model_choice import models_of_project
from passerelle.cli.output import Output, relative
from passerelle.stages.hints import about_model

if TYPE_CHECKING:
    from passerelle.stages.feedback_export import Exported
    from passerelle.stages.feedback_import import ImportedFeedback
    from passerelle.stages.feedback_sample import DailySample

_LONGEST_TEXT = 80


def exported(output: Output, result: Exported) -> None:
    """Show what was exported, what was left out, and how to train on it."""
    done = "wrote" if result.created else "unchanged:"
    output.line(f"{done} {relative(result.path)}: {result.rows} corrected answers, {result.changed} of them with another label")
    for number, what in (
        (result.without_text, "corrected answers without a record that is kept"),
        (result.unknown, "answers that are not in the log yet"),
        (result.other_records, "answers whose feedback brought another record than the one that was answered"),
        (result.erased, "rows that were erased"),
    ):
        if number:
            output.line(f"left out: {number} {what}")
    columns = result.columns
    option = " ".join(f"--{'text' if result.are_texts else 'feature'}-column {shlex.quote(column)}" for column in columns)
    train = f"passerelle train --data {shlex.quote(relative(result.path))} {option} --label-column label"
    output.next_commands(about_model(train, result.registered_model) if len(models_of_project({})) > 1 else train)
    output.result(result)


def imported(output: Output, result: ImportedFeedback) -> None:
    """Show what became of the rows of a table."""
    for note in result.notes:
        output.line(f"note: {note}")
    begin = "would import" if result.dry_run else "imported"
    output.line(
        f"{begin} {result.new} of {result.rows} corrections by '{result.by}': {result.repeated} repeated, {result.erased} erased, "
        f"{result.unknown} of the new ones about answers that are not in the log yet, {result.blank} rows without a label"
    )
    if not result.dry_run:
        output.next_commands("passerelle feedback export --output FILE")
    output.result(result)


def sampled(output: Output, result: DailySample) -> None:
    """Show the sample of a day."""
    output.line(f"{len(result.sample)} of {result.answers} answers of {result.day}, drawn at random")
    rows = [
        (answer.prediction_id, answer.answered, " ".join(str(value) for value in (answer.fields or {}).values())[:_LONGEST_TEXT])
        for answer in result.sample
    ]
    output.table(("prediction id", "answered", "record"), rows)
    if result.path is not None:
        output.line(f"fill in the column label of {relative(result.path)}, then")
        output.next_commands(f"passerelle feedback import {shlex.quote(relative(result.path))} --by NAME")
    elif result.sample:
        output.next_commands(f"passerelle feedback sample --day {result.day} --output FILE")
    output.result(result)
