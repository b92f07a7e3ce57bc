"""The command about drift."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from passerelle.cli import prerequisites
from passerelle.cli.connect import surroundings
from passerelle.cli.options import criteria_option, json_option, language_option, model_option
from passerelle.cli.output import Output
from passerelle.cli.prerequisites import needs


@click.command()
@model_option()
@click.option("--day", metavar="YYYY-MM-DD", help="Last day that is looked at.  [default: yesterday, in UTC]")
@click.option("--log", metavar="PLACE", help="Folder of the prediction log, or s3://BUCKET/PREFIX.  [default: that of the settings]")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write the page to this file.")
@language_option
@click.option("--textfile", type=click.Path(path_type=Path, dir_okay=False), help="Write gauges for Prometheus' node exporter.")
@criteria_option
@json_option
@needs(prerequisites.drift_options, prerequisites.criteria)
def drift(*, registered_model: str | None, criteria_path: Path, as_json: bool, **options: Any) -> None:
    """Compare recent answers with earlier ones; exit code 1 on alarm.

    They are compared with the month before and with the training.
    """
    # `--help` answers without what a stage imports.
    from passerelle.cli import show_drift  # noqa: PLC0415
    from passerelle.stages import drift as stage  # noqa: PLC0415
    from passerelle.stages.drift_options import DriftOptions  # noqa: PLC0415

    output, chosen = Output(as_json=as_json), DriftOptions(**options, registered_model=registered_model)
    context = surroundings(registered_model=registered_model)
    result = stage.run(context, chosen, criteria=criteria_path, progress=output.progress)
    show_drift.drift(output, result)
    if result.state == "alarm":
        raise SystemExit(1)
