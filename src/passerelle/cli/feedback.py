"""Feedback on answers: exported to train on, imported from a table, and a daily sample to look at."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import click

from passerelle.cli import prerequisites
from passerelle.cli.command_list import WholeSentences
from passerelle.cli.connect import surroundings
from passerelle.cli.options import dry_run_option, json_option, named_model_option, stored_model_option
from passerelle.cli.output import Output
from passerelle.cli.prerequisites import needs

# Each command imports its own late, so that `--help` answers at once.
# ruff: noqa: PLC0415

_FILE = click.Path(path_type=Path, dir_okay=False)


def _date(_: click.Context, __: click.Parameter, value: datetime | None) -> date | None:
    return None if value is None else value.date()


_day_option = partial(click.option, type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD", callback=_date)


@click.group(cls=WholeSentences)
def feedback() -> None:
    """Export, import and sample corrections of answers."""


@feedback.command()
@click.option("--output", type=_FILE, required=True, help="CSV or Parquet file to write.")
@_day_option("--since", help="First day of the answers.  [default: all]")
@_day_option("--until", help="Last day of the answers.  [default: all]")
@stored_model_option("Registered model that answered.  [default: the only one that has feedback]")
@json_option
@needs()
def export(output: Path, since: date | None, until: date | None, registered_model: str | None, as_json: bool) -> None:
    """Write the corrected answers of one model as a table for `train`."""
    from passerelle.cli import show_feedback
    from passerelle.stages import feedback as stage

    result = stage.export(surroundings(), output, since=since, until=until, registered_model=registered_model)
    show_feedback.exported(Output(as_json=as_json), result)


@feedback.command("import")
@click.argument("path", metavar="FILE", type=_FILE)
@click.option("--by", required=True, help="Who corrected the answers.")
@named_model_option("Registered model that answered; answers of another one are refused.  [default: each row's own]")
@click.option("--new-label", "new_labels", multiple=True, metavar="LABEL", help="Accept a label that no answer has; may be repeated.")
@dry_run_option
@json_option
@needs(prerequisites.corrections)
def import_(path: Path, as_json: bool, **options: Any) -> None:
    """Take corrections from FILE: all of them, or none.

    FILE has the columns prediction_id, label and perhaps comment. Where a row is wrong, nothing is taken.
    """
    from passerelle.cli import show_feedback
    from passerelle.stages import feedback as stage

    show_feedback.imported(Output(as_json=as_json), stage.import_(surroundings(), path, **options))


@feedback.command()
@_day_option("--day", help="Day of the answers, in UTC.  [default: yesterday]")
@click.option("--count", type=click.IntRange(min=1), default=20, show_default=True, help="How many answers.")
@click.option("--output", type=_FILE, help="CSV or Parquet file to fill in and import.")
@stored_model_option("Registered model that answered.  [default: the only one that did on that day]")
@json_option
@needs()
def sample(day: date | None, count: int, output: Path | None, registered_model: str | None, as_json: bool) -> None:
    """Draw the random sample of a day's answers by one model, the same each time, for a person to look at."""
    from passerelle.cli import show_feedback
    from passerelle.stages import feedback as stage

    day = day or datetime.now(UTC).date() - timedelta(days=1)
    found = stage.sample(surroundings(), day, count=count, output=output, registered_model=registered_model)
    show_feedback.sampled(Output(as_json=as_json), found)
