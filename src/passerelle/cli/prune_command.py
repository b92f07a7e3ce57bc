"""The command that frees storage."""

from __future__ import annotations

from typing import Any

import click

from passerelle.cli import prerequisites
from passerelle.cli.connect import surroundings
from passerelle.cli.options import dry_run_option, json_option, project_option, target_option
from passerelle.cli.output import Output
from passerelle.cli.prerequisites import needs
from passerelle.errors import UsageError

_DAYS = "How long what was hidden, and former versions of objects, are kept."
_UNKNOWN = "Also what is of runs, or with --local of versions, that MLflow does not know, as after `mlflow gc`."
_WITHOUT = "Also in a bucket that keeps no former versions, where nothing is hidden and all is gone at once."
_LOCAL = "Instead, free old bentos, models and images of this machine."
_KEEP = "With --local: how many of the newest versions of each registered model are kept."


@click.command()
@click.option("--days", type=click.IntRange(min=1), default=30, show_default=True, help=_DAYS)
@click.option("--unknown", is_flag=True, help=_UNKNOWN)
@click.option("--without-way-back", is_flag=True, help=_WITHOUT)
@click.option("--bring-back", metavar="RUN_ID", help="Show the hidden artifacts of this run again, and do nothing else.")
@click.option("--local", is_flag=True, help=_LOCAL)
@click.option("--keep", type=click.IntRange(min=1), default=3, show_default=True, help=_KEEP)
@target_option
@project_option
@dry_run_option
@json_option
@needs(prerequisites.pruned_place)
def prune(
    *, days: int, unknown: bool, without_way_back: bool, bring_back: str | None, local: bool, keep: int, as_json: bool, **options: Any
) -> None:
    """Free the space of what nothing needs any more.

    Artifacts of deleted runs that no version, ledger entry or look needs are hidden, and later removed for good.
    """
    # `--help` answers without what a stage imports.
    from passerelle.cli import show_prune  # noqa: PLC0415
    from passerelle.stages import bring_back as undo  # noqa: PLC0415
    from passerelle.stages import prune as stage  # noqa: PLC0415
    from passerelle.stages import prune_local  # noqa: PLC0415

    output = Output(as_json=as_json)
    if local:
        _check_alone(bring_back, without_way_back=without_way_back)
        newest = prune_local.LocalOptions(keep, unknown)
        return show_prune.pruned_here(output, prune_local.run(surroundings(), newest, **options, progress=output.progress))
    if bring_back is not None:
        return show_prune.brought_back(output, undo.run(surroundings(), bring_back, **options))
    chosen = stage.PruneOptions(days, unknown, without_way_back)
    return show_prune.pruned(output, stage.run(surroundings(), chosen, **options, progress=output.progress))


def _check_alone(bring_back: str | None, *, without_way_back: bool) -> None:
    """Check that --local is not typed with what is about the bucket.

    Raises:
        UsageError: It is.
    """
    if bring_back is not None or without_way_back:
        message = "--local frees what is on this machine; --bring-back and --without-way-back are about the bucket"
        raise UsageError(message, hint="passerelle prune --local --dry-run")
