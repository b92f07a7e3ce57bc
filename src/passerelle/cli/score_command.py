"""The command that scores whole tables."""

from __future__ import annotations

from typing import Any

import click

from passerelle.cli import prerequisites
from passerelle.cli.connect import surroundings
from passerelle.cli.options import dry_run_option, json_option, model_option, trust_pickle_option, version_option
from passerelle.cli.output import Output
from passerelle.cli.prerequisites import needs

_INPUT = "CSV, Parquet or JSON lines: a file, a folder, a pattern, or s3://BUCKET/PREFIX; repeatable."

_OUTPUT = "Folder that gets the result, or s3://BUCKET/PREFIX; Parquet, or what the name ends in: .csv, .jsonl."


@click.command()
@click.option("--input", "inputs", required=True, multiple=True, metavar="PLACE", help=_INPUT)
@click.option("--output", required=True, metavar="FOLDER", help=_OUTPUT)
@click.option("--id", "ids", multiple=True, metavar="COLUMN", help="Column of the input that the output repeats; repeatable.")
@model_option("Registered model that scores.")
@version_option("Its version.  [default: the one in production]")
@click.option("--versions", metavar="A,B", help="Compare two versions or aliases in the place of scoring; the gate's report quotes it.")
@click.option("--processes", type=click.IntRange(min=1), help="How many score at once.  [default: one a core]")
@click.option("--address", metavar="ADDRESS", help="Score on the Ray cluster at ray://HOST:PORT or HOST:PORT; auto for the one here.")
@trust_pickle_option
@dry_run_option
@json_option
@needs(prerequisites.score_options, prerequisites.registry)
def score(*, registered_model: str | None, as_json: bool, **options: Any) -> None:
    """Score whole tables, with the same answers as the service.

    An interrupted run continues where it stopped.
    """
    # `--help` answers without what a stage imports.
    from passerelle.cli import show_score  # noqa: PLC0415
    from passerelle.stages import score as stage  # noqa: PLC0415
    from passerelle.stages import score_versions  # noqa: PLC0415
    from passerelle.stages.score_options import ScoreOptions  # noqa: PLC0415

    output, context, chosen = Output(as_json=as_json), surroundings(registered_model=registered_model), ScoreOptions(**options)
    if chosen.versions is not None:
        show_score.differences(output, score_versions.run(context, chosen, progress=output.progress))
    else:
        show_score.scored(output, stage.run(context, chosen, progress=output.progress))
