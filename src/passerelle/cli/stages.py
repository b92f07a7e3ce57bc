"""The ten stages, one command each, in their order."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from passerelle.cli import file_checks, prerequisites
from passerelle.cli.connect import nothing_started_here, read_state, surroundings
from passerelle.cli.options import (
    accept_option,
    criteria_option,
    data_option,
    dry_run_option,
    json_option,
    language_option,
    log_column_option,
    model_option,
    project_option,
    stored_model_option,
    trust_pickle_option,
    version_option,
)
from passerelle.cli.output import Output
from passerelle.cli.prerequisites import needs
from passerelle.errors import UsageError

# The stages import MLflow, scikit-learn or BentoML: each command imports its own late, so that `--help` answers at once.
# ruff: noqa: PLC0415


@click.command()
@model_option("Registered model to learn for.", only_of_project=True)
@data_option
@click.option("--text-column", "text_columns", multiple=True, help="Column that holds a text; once for each, such as subject and body.")
@click.option("--optional-text-column", "optional_text_columns", multiple=True, help="Further text, which a record may leave out.")
@click.option("--label-column", help="Column that holds the class.")
@click.option("--feature-column", "feature_columns", multiple=True, help="Column of a table without text; once for each.")
@click.option("--drop-missing", is_flag=True, help="Leave rows without text or class out instead of refusing the file.")
@click.option("--min-class-rows", type=click.IntRange(min=0), default=0, help="Leave classes with fewer distinct rows than this out.")
@click.option("--other", metavar="NAME", help="Put these classes together as this one instead of leaving them out.")
@click.option("--experiment", help="MLflow experiment.  [default: PASSERELLE_EXPERIMENT or classification]")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the folds and of the candidates.")
@click.option("--refresh-held-out", "refresh", is_flag=True, help="Hold other rows out than any training before.")
@click.option(
    "--held-out-set", "number", type=click.IntRange(1, 1_000_000), help="Number of the held-out set.  [default: the latest training's]"
)
@click.option("--candidate", "candidates", multiple=True, metavar="NAME", help="Candidate to train; once for each.  [default: all]")
@click.option("--again", is_flag=True, help="Train even when the same data, code and seed were trained on before.")
@click.option("--address", help="Fit the candidates on a Ray cluster that runs already: auto, HOST:PORT or ray://HOST:PORT.")
@project_option
@dry_run_option
@json_option
@needs(file_checks.train_options, file_checks.training_registry)
def train(*, registered_model: str | None, experiment: str | None, project: Path, as_json: bool, **options: Any) -> None:
    """Fit the candidates and log each as an MLflow run."""
    from passerelle.cli import show_training
    from passerelle.stages import train as stage
    from passerelle.stages.held_out_set import HeldOutChoice
    from passerelle.stages.train_options import TrainingData

    output, context = Output(as_json=as_json), surroundings(registered_model=registered_model, experiment=experiment)
    held_out = HeldOutChoice(options.pop("number"), options.pop("refresh"))
    how = {name: options.pop(name) for name in ("seed", "again", "address", "dry_run", "candidates")}
    training_data = TrainingData(path=options.pop("data"), **options)
    result = stage.run(context, training_data, project=project, held_out=held_out, progress=output.progress, **how)
    show_training.trained(output, result)
    show_training.after_training(output, result, experiment=experiment, registered_model=registered_model)
    if result.failed:
        raise SystemExit(UsageError.exit_code)


@click.command()
@model_option("Registered model that the training was for.", only_of_project=True)
@click.option("--parent-run", "parent_run_id", help="Training to compare.  [default: the latest]")
@click.option("--experiment", help="MLflow experiment.  [default: PASSERELLE_EXPERIMENT or classification]")
@criteria_option
@json_option
@needs(prerequisites.criteria, prerequisites.registry)
def compare(*, registered_model: str | None, parent_run_id: str | None, experiment: str | None, criteria_path: Path, as_json: bool) -> None:
    """Rank the candidates, and list the criteria each one fails."""
    from passerelle.cli import next_stage, show
    from passerelle.stages import compare as stage

    output, context = Output(as_json=as_json), surroundings(registered_model=registered_model, experiment=experiment)
    result = stage.run(context, criteria=criteria_path, parent_run_id=parent_run_id)
    show.comparison(output, result)
    next_stage.after_comparison(output, result, criteria=criteria_path)


@click.command()
@click.option("--run", "run_id", help="Candidate's run.  [default: the best of the latest training]")
@click.option("--experiment", help="MLflow experiment.  [default: PASSERELLE_EXPERIMENT or classification]")
@model_option()
@criteria_option
@trust_pickle_option
@dry_run_option
@json_option
@needs(prerequisites.criteria, prerequisites.registry)
def register(
    *, run_id: str | None, experiment: str | None, registered_model: str | None, criteria_path: Path, dry_run: bool, as_json: bool
) -> None:
    """Register the best candidate as a model version."""
    from passerelle.cli import next_stage, show
    from passerelle.stages import register as stage

    output, context = Output(as_json=as_json), surroundings(registered_model=registered_model, experiment=experiment)
    result = stage.run(context, run_id=run_id, criteria=criteria_path, dry_run=dry_run, progress=output.progress)
    show.registered(output, result)
    next_stage.after_registration(output, result, criteria=criteria_path)


@click.command()
@model_option()
@version_option("Version to promote.  [default: the newest]")
@criteria_option
@click.option("--best", is_flag=True, help="Promote the best candidate of the latest training, registered first if it is not yet.")
@click.option("--force", is_flag=True, help="Promote although the gate refuses; needs --reason.")
@click.option("--waive", multiple=True, metavar="CHECK", help="Waive a check that the criteria let you waive; needs --reason.")
@accept_option
@click.option("--reason", help="Why; written in the ledger.")
@click.option("--held-out", metavar="FILE", help="Labelled rows to judge by: CSV, Parquet, or dataset:NAME of the model's run.")
@click.option("--label", "labels", metavar="COLUMN", multiple=True, help="Column of the right answer; once for each label or output.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write the gate's page to this file too.")
@language_option
@project_option
@trust_pickle_option
@dry_run_option
@json_option
@needs(prerequisites.promote_options, prerequisites.criteria, prerequisites.registry)
def promote(*, registered_model: str | None, criteria_path: Path, project: Path, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Put a version into production, if it passes the gate.

    The gate scores the version and the one in production again, on rows that neither learned from.
    """
    from passerelle.cli import show
    from passerelle.stages import promote as stage

    output, context = Output(as_json=as_json), surroundings(registered_model=registered_model)
    chosen = stage.PromoteOptions(**options)
    result = stage.run(context, chosen, project=project, criteria=criteria_path, dry_run=dry_run, progress=output.progress)
    show.promotion(output, result)
    if not dry_run:
        output.next_commands("passerelle deploy")


@click.command("import")
@model_option()
@version_option("Version to import.  [default: the one in production]")
@trust_pickle_option
@dry_run_option
@json_option
@needs(prerequisites.registry)
def import_(registered_model: str | None, version: int | None, dry_run: bool, as_json: bool) -> None:
    """Import the version in production into the BentoML store."""
    from passerelle.cli import next_stage, show
    from passerelle.stages import import_model as stage

    output, context = Output(as_json=as_json), surroundings(registered_model=registered_model)
    result = stage.run(context, version, dry_run=dry_run)
    show.imported(output, result)
    next_stage.after_import(output, result)


@click.command()
@click.argument("bento_model_tag", required=False)
@stored_model_option("Registered model whose version imported last is built.  [default: the only one in the store]")
@project_option
@dry_run_option
@json_option
@needs(prerequisites.bento_model)
def build(*, bento_model_tag: str | None, registered_model: str | None, as_json: bool, **options: Any) -> None:
    """Build a bento that pins exactly one model version.

    BENTO_MODEL_TAG is name:version in the BentoML store; by default the version imported last.
    """
    from passerelle.cli import next_stage, show
    from passerelle.stages import build as stage

    output, context = Output(as_json=as_json), surroundings(registered_model=registered_model)
    result = stage.run(context, bento_model_tag, registered_model=registered_model, **options)
    show.built(output, result)
    next_stage.after_build(output, result)


@click.command()
@click.argument("bento_tag", required=False)
@stored_model_option("Registered model whose bento built last is taken.  [default: the only one in the store]")
@click.option("--image", "image_name", help="Name and tag of the image.  [default: passerelle/<bento tag>]")
@click.option("--slim", is_flag=True, help="Without Debian around Python: no shell, half the size.")
@click.option("--with-pipeline", is_flag=True, help="Install scikit-learn for a compiled model too, which answers without.")
@click.option("--base", default="python:3.11-slim", show_default=True, help="What it starts from; name it by digest to pin it.")
@click.option("--wheels", type=click.Path(path_type=Path, file_okay=False), help="Install from this folder, without a network.")
@click.option("--cache/--no-cache", "cached", default=True, show_default=True, help="Use what the engine has built before.")
@click.option("--smoke/--no-smoke", default=True, show_default=True, help="Run it and replay the golden inputs.")
@click.option("--platform", type=click.Choice(["linux/amd64", "linux/arm64"]), help="What it runs on.  [default: as this machine]")
@click.option("--push", is_flag=True, help="Push it to the registry that --image begins with.")
@click.option("--outputs", type=click.Path(path_type=Path, dir_okay=False), help="Append IMAGE=…, DIGEST=… and more to this file, for CI.")
@click.option("--sbom", type=click.Path(path_type=Path, dir_okay=False), help="Copy the bill of materials to this file.")
@dry_run_option
@json_option
@needs(prerequisites.bento)
def containerize(
    *, bento_tag: str | None, registered_model: str | None, outputs: Path | None, sbom: Path | None, as_json: bool, **image: Any
) -> None:
    """Build an OCI image of a bento; needs a container engine.

    BENTO_TAG is name:version in the BentoML store; by default the bento built last.
    """
    from passerelle.cli import image_files, show_stack
    from passerelle.stages import containerize as stage

    output, how = Output(as_json=as_json), {name: image.pop(name) for name in ("smoke", "push", "dry_run")}
    context, options = surroundings(registered_model=registered_model), stage.ImageOptions(**image)
    result = stage.run(context, bento_tag, options, registered_model=registered_model, **how, progress=output.progress)
    image_files.write(result, outputs=outputs, sbom=sbom)
    show_stack.image(output, result)


@click.command()
@click.argument("bento_tag", required=False)
@stored_model_option("Registered model whose bento built last is started.  [default: the only one in the store]")
@click.option("--target", type=click.Choice(["local", "compose", "kubernetes"]), default="local", show_default=True, help="Where to.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port on loopback, for local.  [default: the one before]")
@click.option("--stop", is_flag=True, help="End the service that runs here, for local.")
@click.option("--init", is_flag=True, help="Make the secrets that are missing, and start the platform, for compose.")
@click.option("--overlay", help="Of deploy/kubernetes/overlays, for kubernetes.  [default: development]")
@click.option("--image", help="Image by its digest, for kubernetes.  [default: the bento's, as it was pushed]")
@click.option("--render", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Write manifests here, for kubernetes.")
@log_column_option
@project_option
@dry_run_option
@json_option
@needs(prerequisites.place, prerequisites.stack, prerequisites.bento_in_production)
def deploy(*, bento_tag: str | None, registered_model: str | None, project: Path, dry_run: bool, as_json: bool, **place: Any) -> None:
    """Serve a bento, once it reproduces its golden predictions.

    BENTO_TAG is name:version in the BentoML store; by default that of the version in production, or the bento built last where no registry
    is named.
    """
    from passerelle.cli import show, show_stack
    from passerelle.stages.place import Stopped, nothing_to_stop

    output = Output(as_json=as_json)
    stops = place["stop"] and bento_tag is None
    if stops and (nothing_started_here() or nothing_to_stop(read_state().state_dir, registered_model)):
        return show.deployment(output, Stopped(None))
    from passerelle.stages import deploy as stage

    context, where = surroundings(registered_model=registered_model), stage.Place(**place, registered_model=registered_model)
    result = stage.run(context, bento_tag, where, project=project, dry_run=dry_run, progress=output.progress)
    return show_stack.deployed(output, result)


@click.command()
@click.argument("bento_tag", required=False)
@stored_model_option("Registered model whose bento answers.  [default: the only one in the store]")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port on loopback.  [default: the one before]")
@project_option
@json_option
@needs(prerequisites.bento_in_production)
def serve(bento_tag: str | None, registered_model: str | None, port: int, project: Path, as_json: bool) -> None:
    """Serve /classify in this terminal until Ctrl-C.

    BENTO_TAG is name:version in the BentoML store; by default that of the version in production, imported and built first where the store
    lacks it, or the bento built last where no registry is named.
    """
    from passerelle.cli import show
    from passerelle.stages import serve as stage

    output = Output(as_json=as_json)
    stage.run(
        surroundings(registered_model=registered_model),
        bento_tag,
        registered_model=registered_model,
        port=port or None,
        project=project,
        on_ready=partial(show.served, output),
        progress=output.progress,
    )


@click.command()
@stored_model_option("Registered model whose service is asked.  [default: the only one that is served here]")
@click.option("--address", help="Address of the service.  [default: the one that runs here]")
@json_option
@needs(prerequisites.service)
def monitor(address: str | None, registered_model: str | None, as_json: bool) -> None:
    """Show requests, latency, classes and reviews of the service."""
    from passerelle.cli import show
    from passerelle.stages import monitor as stage

    show.figures(Output(as_json=as_json), stage.run(surroundings(), address, registered_model=registered_model))
