"""The command about a candidate beside the version in production."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from passerelle.cli import prerequisites
from passerelle.cli.connect import surroundings
from passerelle.cli.options import accept_option, criteria_option, dry_run_option, json_option, model_option, project_option
from passerelle.cli.output import Output
from passerelle.cli.prerequisites import needs
from passerelle.cli.silence import silence_from_here


@click.command()
@model_option()
@click.option("--candidate", type=click.IntRange(min=1), metavar="VERSION", help="Make this version the candidate, or change its weight.")
@click.option("--weight", type=int, help="Share of the requests, in percent.  [default: 10; 100 with --shadow]")
@click.option("--shadow", is_flag=True, help="Let it answer nothing, and score beside the answers.")
@click.option("--key-header", metavar="NAME", help="Header by whose value a client keeps its version.  [default: X-Rollout-Key]")
@click.option("--status", is_flag=True, help="Compare both live; ends the candidate where a service has backed out.")
@click.option("--watch", is_flag=True, help="With --status, compare every 15 s until the candidate ends.")
@click.option("--promote", is_flag=True, help="Promote the candidate, if it passes the gate.")
@click.option("--stop", is_flag=True, help="Let no candidate take part.")
@click.option("--address", "addresses", multiple=True, metavar="URL", help="A service to compare by; once for each replica.")
@click.option(
    "--target", type=click.Choice(["compose", "kubernetes"]), help="Compare by the replicas that the engine or the cluster names."
)
@click.option("--overlay", help="Of deploy/kubernetes/overlays, for kubernetes.  [default: development]")
@click.option("--force", is_flag=True, help="Let a candidate answer that the gate refuses; needs --reason.")
@click.option("--waive", multiple=True, metavar="CHECK", help="Waive a check that the criteria let you waive; needs --reason.")
@accept_option
@click.option("--reason", help="Why; written in the ledger.")
@click.option("--held-out", metavar="FILE", help="Labelled rows to judge a candidate by: CSV, Parquet, or dataset:NAME of its run.")
@click.option("--label", "labels", metavar="COLUMN", multiple=True, help="Column of the right answer; once for each label or output.")
@criteria_option
@project_option
@dry_run_option
@json_option
@needs(prerequisites.rollout_options, prerequisites.rollout_criteria, prerequisites.registry)
def rollout(*, registered_model: str | None, criteria_path: Path, project: Path, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Let a candidate answer part of the requests."""
    # `--help` answers without what a stage imports.
    from passerelle.cli import show_rollout  # noqa: PLC0415
    from passerelle.stages import rollout as stage  # noqa: PLC0415
    from passerelle.stages.rollout_options import RolloutOptions  # noqa: PLC0415

    context = surroundings(registered_model=registered_model)
    output = Output(as_json=as_json)
    chosen = RolloutOptions(**options)
    if chosen.watch:
        silence_from_here()
    result = stage.run(context, chosen, project=project, criteria=criteria_path, dry_run=dry_run, progress=output.progress)
    show_rollout.candidate(output, result)
