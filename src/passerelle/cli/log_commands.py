"""The commands about the prediction log: collect it, and erase answers from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from passerelle.cli import file_checks, prerequisites
from passerelle.cli.connect import surroundings
from passerelle.cli.options import dry_run_option, json_option, model_option
from passerelle.cli.output import Output
from passerelle.cli.prerequisites import needs
from passerelle.cli.silence import silence_from_here
from passerelle.errors import OutsideError

# Each command imports its own late, so that `--help` answers at once.
# ruff: noqa: PLC0415


@click.command()
@click.option("--follow", is_flag=True, help="Go on until SIGTERM or Ctrl-C, every PASSERELLE_LOG_COLLECT_INTERVAL_S seconds.")
@click.option("--expire", is_flag=True, help="Only remove what was kept long enough.")
@dry_run_option
@json_option
@needs(prerequisites.collect_options)
def collect(follow: bool, expire: bool, dry_run: bool, as_json: bool) -> None:
    """Write the prediction log to its bucket as Parquet.

    What was kept long enough is removed.
    """
    from passerelle.cli import show_log
    from passerelle.stages import collect as stage

    output, context = Output(as_json=as_json), surroundings()
    if follow:
        silence_from_here()
        return stage.follow(context, lambda done: show_log.collection(output, done), progress=output.progress)
    done = stage.run(context, expire=expire, dry_run=dry_run, progress=output.progress)
    show_log.collection(output, done)
    if done.problem:
        raise SystemExit(OutsideError.exit_code)
    return None


@click.command()
@click.argument("prediction_ids", metavar="[PREDICTION_ID]...", nargs=-1)
@click.option("--file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="File with further ids, one a line.")
@click.option("--by", help="Who asks for it; written in the ledger.")
@click.option("--reason", help="Why; written in the ledger.")
@model_option("Registered model in whose ledger it is recorded.")
@dry_run_option
@json_option
@needs(file_checks.erasure_ids, prerequisites.registry)
def erase(prediction_ids: tuple[str, ...], registered_model: str | None, as_json: bool, **options: Any) -> None:
    """Erase answers from the prediction log, feedback and exports.

    The ledger records the erasure without their content.
    """
    from passerelle.cli import show_log
    from passerelle.stages import erase as stage

    output, context = Output(as_json=as_json), surroundings(registered_model=registered_model)
    done = stage.run(context, prediction_ids, **options, progress=output.progress)
    show_log.erasure(output, done)
