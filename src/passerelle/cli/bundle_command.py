"""The command that carries all images and wheels to a machine without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from passerelle.cli import prerequisites
from passerelle.cli.connect import surroundings
from passerelle.cli.options import dry_run_option, json_option, project_option
from passerelle.cli.output import Output
from passerelle.cli.prerequisites import needs

# Each command imports its own late, so that `--help` answers at once.
# ruff: noqa: PLC0415


@click.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--install", is_flag=True, help="Check the archive in full, and only then load its images and unpack its wheels.")
@click.option("--image", "images", metavar="NAME", multiple=True, help="Further image to write; once for each.")
@project_option
@dry_run_option
@json_option
@needs(prerequisites.bundle)
def bundle(path: Path, as_json: bool, **options: Any) -> None:
    """Write all that an installation without a network needs.

    The archive holds the stack's images, the newest image of the model and all wheels; it is installed from the archive too.
    """
    from passerelle.cli import show_bundle
    from passerelle.stages import bundle as stage

    output = Output(as_json=as_json)
    show_bundle.bundled(output, stage.run(surroundings(), path, **options, progress=output.progress))
