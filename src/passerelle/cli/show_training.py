"""How trainings look, and their comparison with a second one."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from passerelle.cli.output import Output
from passerelle.cli.terminal import Tone
from passerelle.count_of import count_of

if TYPE_CHECKING:
    from passerelle.stages.reproduce import Reproduction
    from passerelle.stages.train import Trained


def after_training(output: Output, result: Trained, *, experiment: str | None, registered_model: str | None) -> None:
    """Print the next command after a training.

    Args:
        experiment: Where an option named it; the next command then needs it too.
        registered_model: Likewise.
    """
    if not result.dry_run:
        variable = f"PASSERELLE_EXPERIMENT={shlex.quote(experiment)} " if experiment else ""
        model = f" --model {shlex.quote(registered_model)}" if registered_model else ""
        output.line(f"  next: {variable}passerelle promote --best{model}")


def trained(output: Output, result: Trained) -> None:
    """Print what was trained."""
    if result.result is None:  # a training tells them before it fits
        for note in result.notes:
            output.line(f"note: {note}", Tone.WARNING)
    what = f"{result.rows} records in {result.classes} classes"
    if result.dry_run:
        candidates = count_of(len(result.candidates), "candidate")
        output.line(
            f"would train {candidates} on {what}, {result.held_out} of them held out (set {result.held_out_set}): "
            + ", ".join(result.candidates)
            if result.created
            else f"would change nothing: trained on before, run {result.parent_run_id}"
        )
    elif not result.created:
        output.line(f"already done: the same data, code and seed, run {result.parent_run_id} (--again trains anyway)")
    elif result.result is not None:
        rows = [
            (each.name, *(f"{each.metrics[name]:.3f}" for name in ("cv_macro_f1", "cv_accuracy", "test_macro_f1", "test_accuracy")))
            for each in sorted(result.result.candidates, key=lambda each: -each.metrics["cv_macro_f1"])
        ]
        columns = ("candidate", "macro-F1", "accuracy", "held-out macro-F1", "held-out accuracy")
        output.table(columns, rows, right=columns[1:])
        output.line(f"{count_of(len(rows), 'candidate')} on {what} in {result.result.seconds:.0f} s; run {result.parent_run_id}")
    for each in result.failed:
        output.line(f"left out: '{each.name}' {each.reason}")
        output.next_commands(each.hint)
    output.result(result)


def reproduced(output: Output, result: Reproduction) -> None:
    """Show the metrics that differ, and the verdict."""
    metrics = result.comparison.metrics
    differing = [each for each in metrics if not each.same]
    rows = [
        (each.metric, f"{each.recorded:.6f}", *(("—", "—") if each.again is None else (f"{each.again:.6f}", f"{each.change:+.2e}")))
        for each in differing
    ]
    if rows:
        columns = ("metric that differs", "recorded", "again", "difference")
        output.table(columns, rows, right=columns[1:])
    output.line(f"{len(metrics) - len(differing)} of {len(metrics)} metrics are the same", Tone.BAD if differing else Tone.GOOD)
    for note in (*result.differing_libraries, *result.notes):
        output.line(note)
    largest = result.comparison.largest_difference
    difference = "" if largest is None else f"; largest difference of a golden probability: {largest:.1e}"
    output.line(f"golden labels that differ: {result.comparison.labels_differ}{difference}")
    model = result.comparison.model
    if model is not None:
        records = f"{model.answers.records} records, {model.held_out_rows} of them held-out rows"
        output.line(
            f"answers that differ: {model.answers.differing} to {records}; largest difference of a probability: {model.answers.largest:.1e}"
        )
        for problem in model.problems:
            output.line(problem, Tone.BAD)
    verdict = "the same model came out" if result.same else "another model came out"
    output.line(f"version {result.version}, '{result.candidate}': {verdict}", Tone.GOOD if result.same else Tone.BAD)
    output.result({**vars(result), "same": result.same})
