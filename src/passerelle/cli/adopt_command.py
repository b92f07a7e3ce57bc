"""`passerelle adopt`: make a version that passerelle did not register one that it can carry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from passerelle.cli import file_checks, prerequisites
from passerelle.cli.connect import surroundings
from passerelle.cli.options import dry_run_option, json_option, model_option
from passerelle.cli.output import Output
from passerelle.cli.prerequisites import needs

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("address", metavar="models:/NAME/VERSION|models:/NAME@ALIAS|runs:/RUN_ID[/PATH]")
@model_option("Registered model that a run's model becomes a version of.", where=lambda options: options["address"].startswith("runs:"))
@click.option("--signature", type=_FILE, help="JSON or YAML file with the signature, for a model without one.")
@click.option(
    "--text-column", "text_columns", metavar="NAME", multiple=True, help="Name of the one text that a model without named columns takes."
)
@click.option("--labels", type=_FILE, help="JSON file with the name of each label: a list, or an object by label.")
@click.option("--drop-column", "drop_columns", metavar="NAME", multiple=True, help="Column that no record has; once for each.")
@click.option("--examples", type=_FILE, help="CSV, Parquet or JSON file with inputs.  [default: the logged input example]")
@click.option("--override", "overrides", metavar="'PACKAGE==X'", multiple=True, help="Requirement in place of the model's; once for each.")
@click.option("--python", metavar="X.Y", help="Version of Python.  [default: the one that logged the model]")
@dry_run_option
@json_option
@needs(file_checks.adopt_options, prerequisites.registry)
def adopt(address: str, registered_model: str | None, text_columns: tuple[str, ...], dry_run: bool, as_json: bool, **options: Any) -> None:
    """Adopt a version of any registry, so that it can be promoted.

    The model's own files stay as they were logged. It is tried in an environment made of its own requirements, and what is recorded of it
    lies in a run beside, in the experiment passerelle-adoptions.
    """
    from passerelle.cli import show_adopt  # noqa: PLC0415 - `--help` answers without it
    from passerelle.stages import adopt as stage  # noqa: PLC0415 - as above
    from passerelle.stages.adopt_options import AdoptOptions, one_text  # noqa: PLC0415 - as above

    output, given = Output(as_json=as_json), AdoptOptions(**options, text_column=one_text(text_columns, address))
    name = {"registered_model": registered_model, "dry_run": dry_run}
    show_adopt.adopted(output, stage.run(surroundings(), address, given, **name, progress=output.progress))  # type: ignore[arg-type]
