"""The command that writes a new project, or shows what a newer passerelle would write differently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from passerelle.cli.options import dry_run_option, json_option
from passerelle.cli.output import Output

# ruff: noqa: PLC0415 - imported late, so that `--help` answers at once


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
@click.option("--name", help="Of the project, its registered model and its experiment.  [default: the folder's]")
@click.option("--language", type=click.Choice(["fr", "en"]), help="Of the README and of the texts.  [default: fr]")
@click.option("--text-column", "text_columns", multiple=True, help="Column of a text; with --data, once for each.  [default: text]")
@click.option("--table", is_flag=True, help="Learn from a table without text.")
@click.option("--feature-column", "feature_columns", multiple=True, help="With --data: column of a table without text; once for each.")
@click.option("--label-column", help="Column of the class.  [default: label]")
@click.option("--target", type=click.Choice(["embedded", "compose", "kubernetes"]), help="Where it is served.  [default: embedded]")
@click.option(
    "--data", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="CSV, xlsx, JSON or Parquet.  [default: a small data set]"
)
@click.option("--update", "updating", is_flag=True, help="Show what this passerelle would write differently.")
@click.option("--yes", is_flag=True, help="Ask nothing; with --update, write what it shows.")
@dry_run_option
@json_option
def new(*, folder: Path, updating: bool, yes: bool, dry_run: bool, as_json: bool, **given: Any) -> None:
    """Create a project of your own, with a small data set.

    What no option answers is asked in a terminal. The folder must not exist, or be empty; nothing is overwritten.
    """
    from passerelle.cli import show_new
    from passerelle.stages import new as stage

    output, applied = Output(as_json=as_json), yes and not dry_run
    if updating:
        show_new.refuse_answers(folder, given)
        return show_new.updated(output, stage.update(folder, apply=applied), folder, applied=applied)
    answers = show_new.answers_of(folder, given, ask=not (yes or as_json))
    return show_new.created(output, stage.run(folder, answers, data=given["data"], dry_run=dry_run))
