"""Each stage names the command of the next one, which takes what this one made."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from passerelle.bentos.build import BuiltBento
from passerelle.cli import next_stage
from passerelle.cli.options import criteria_option
from passerelle.cli.output import Output
from passerelle.names import BentoTag, ModelVersionRef
from passerelle.stages.compare import Comparison, ComparisonRow
from passerelle.stages.import_model import ImportedModel
from passerelle.stages.register import Registered
from tests.unit.hint_commands import problem_of

BEST = ComparisonRow(1, "word_lr", "a" * 32, {}, ())
TAG = BentoTag("comments", "3-aaaaaaaa")
REF = ModelVersionRef("comments", 3, "a" * 32)


def show_next(result: object, *arguments: str) -> None:
    """Print what a command that takes criteria prints after this result."""

    @click.command()
    @criteria_option
    def command(criteria_path: Path) -> None:
        output = Output(as_json=False)
        match result:
            case Comparison():
                next_stage.after_comparison(output, result, criteria=criteria_path)
            case Registered():
                next_stage.after_registration(output, result, criteria=criteria_path)
            case ImportedModel():
                next_stage.after_import(output, result)
            case BuiltBento():
                next_stage.after_build(output, result)

    command.main(list(arguments), standalone_mode=False)


@pytest.mark.parametrize(
    ("result", "commands"),
    [
        (Comparison("p", "d", "cv_macro_f1", (BEST,)), [f"passerelle register --run {'a' * 32} --criteria 'my criteria.yaml'"]),
        (Comparison("p", "d", "cv_macro_f1", ()), []),
        (Registered("comments", "a", "word_lr", REF, True, "d", {}), ["passerelle promote --version 3 --criteria 'my criteria.yaml'"]),
        (Registered("comments", "a", "word_lr", None, True, "d", {}, dry_run=True), []),
        (ImportedModel(REF, TAG, None, True, "d"), [f"passerelle build {TAG}"]),
        (ImportedModel(REF, TAG, None, True, "d", dry_run=True), []),
        (BuiltBento(TAG, TAG, None, False, "c"), [f"passerelle deploy {TAG}", f"passerelle containerize {TAG}"]),
        (BuiltBento(TAG, TAG, None, True, "c", dry_run=True), []),
    ],
)
def test_the_next_stage_is_named(result: object, commands: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    show_next(result, "--criteria", "my criteria.yaml")
    lines = [line.partition(": ")[2] for line in capsys.readouterr().out.splitlines()]
    assert lines == commands
    assert [problem_of(line) for line in lines] == [None] * len(lines)


def test_the_usual_criteria_are_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    show_next(Comparison("p", "d", "cv_macro_f1", (BEST,)))
    assert capsys.readouterr().out == f"  next: passerelle register --run {'a' * 32}\n"
