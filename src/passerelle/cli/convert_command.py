"""`passerelle convert`: make a version of an adopted pickle that runs no code when it is read."""

from __future__ import annotations

import click

from passerelle.cli import file_checks, prerequisites
from passerelle.cli.connect import surroundings
from passerelle.cli.options import dry_run_option, json_option
from passerelle.cli.output import Output
from passerelle.cli.prerequisites import needs


@click.command()
@click.argument("address", metavar="models:/NAME/VERSION|models:/NAME@ALIAS")
@click.option("--to", "form", type=click.Choice(["skops", "onnx"]), default="skops", show_default=True, help="Form of the model's file.")
@dry_run_option
@json_option
@needs(file_checks.model_address, prerequisites.registry)
def convert(address: str, form: str, dry_run: bool, as_json: bool) -> None:
    """Convert an adopted pickle to a format that runs no code.

    The pickle is read once, in its own environment and sandbox, and saved with skops or as ONNX. The new version reproduces the golden
    predictions of the one that it was made of, which its record names; otherwise nothing is registered.
    """
    from passerelle.cli import show_adopt  # noqa: PLC0415 - `--help` answers without it
    from passerelle.stages import convert as stage  # noqa: PLC0415 - as above

    output = Output(as_json=as_json)
    result = stage.run(surroundings(), address, form, dry_run=dry_run, progress=output.progress)  # type: ignore[arg-type]
    show_adopt.converted(output, result)
