"""The commands that are not one of the ten stages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import click

from passerelle.cli import file_checks, prerequisites
from passerelle.cli.connect import surroundings
from passerelle.cli.model_choice import is_typed
from passerelle.cli.options import (
    DataPlace,
    criteria_option,
    dry_run_option,
    json_option,
    log_column_option,
    model_option,
    project_option,
    stored_model_option,
    target_option,
    version_option,
)
from passerelle.cli.output import Output
from passerelle.cli.prerequisites import needs
from passerelle.errors import IntegrityError

# Each command imports its own late, so that `--help` answers at once.
# ruff: noqa: PLC0415


@click.command()
@project_option
@criteria_option
@target_option
@json_option
@needs(prerequisites.project, prerequisites.criteria, prerequisites.stack)
def demo(project: Path, criteria_path: Path, target: Literal["embedded", "compose"], as_json: bool) -> None:
    """Run every stage on a temporary platform, and query the service.

    With --target compose, they run on the stack, which keeps running. A version that others put into production stays there, and is served.
    """
    from passerelle.cli.show_steps import StepsShown
    from passerelle.stages import demo as stage

    output = Output(as_json=as_json)
    view = StepsShown(output)
    result = stage.run(surroundings(), target, project=project, criteria=criteria_path, progress=output.progress, on_event=view)
    view.demonstration(result)


@click.command()
@project_option
@click.option("--platform-only", "--no-model", "platform_only", is_flag=True, help="The platform alone, without the service.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the service on loopback.  [default: a free one]")
@log_column_option
@target_option
@needs(prerequisites.stack)
def up(*, port: int, target: str, **options: Any) -> None:
    """Run the platform, and serve the version in production.

    The embedded platform runs until Ctrl-C; the compose stack keeps running.
    """
    from passerelle.cli.show_steps import StepsShown
    from passerelle.stages import up as stage

    output = Output(as_json=False)
    view = StepsShown(output, timed=False)
    if target == "compose":
        result = stage.run_stack(surroundings(), **options, progress=output.progress, on_event=view)
        return view.stack(result)
    stage.run(surroundings(), **options, port=port or None, progress=output.progress, on_event=view)
    return None


@click.command()
@target_option
@project_option
@json_option
def env(target: Literal["embedded", "compose"], project: Path, as_json: bool) -> None:
    """Print export lines for a shell: eval "$(passerelle env)".

    With them mlflow, bentoml and boto3 find the platform.

    While the embedded platform is off: what does not depend on it, which is the BentoML store.
    """
    from passerelle.cli import show
    from passerelle.stages import env as stage

    output = Output(as_json=as_json)
    show.environment(output, stage.run(surroundings(), target, project=project, progress=output.note))


@click.command()
@click.argument("version", type=click.IntRange(min=1))
@model_option()
@click.option("--data", type=DataPlace(path_type=Path, exists=True, resolve_path=True), help="Its data.  [default: the demo's comments]")
@click.option("--sheet", help="Of a workbook.  [default: the first]")
@click.option("--text-column", "text_columns", multiple=True, help="Column that holds a text; once for each.")
@click.option("--optional-text-column", "optional_text_columns", multiple=True, help="Further text, which a record may leave out.")
@click.option("--label-column", help="Column that holds the class.")
@click.option("--feature-column", "feature_columns", multiple=True, help="Column of a table without text; once for each.")
@click.option("--drop-missing", is_flag=True, help="As at the first training.")
@json_option
@needs(file_checks.reproduction_data, prerequisites.registry)
def reproduce(version: int, registered_model: str | None, as_json: bool, **data: Any) -> None:
    """Train a version again, and compare the two models.

    It uses the commit, the data and the seed of the version.
    """
    from passerelle.cli import show_training
    from passerelle.stages import reproduce as stage
    from passerelle.stages.train_options import TrainingData

    output, training_data = Output(as_json=as_json), TrainingData(path=data.pop("data"), **data)
    found = stage.run(surroundings(registered_model=registered_model), version, training_data, progress=output.progress)
    show_training.reproduced(output, found)
    if not found.same:
        raise SystemExit(1)


@click.command()
@click.argument("reference", metavar="PREDICTION_ID|IMAGE|BENTO_TAG|VERSION|RUN_ID")
@model_option()
@json_option
@needs(prerequisites.registry)
def trace(reference: str, registered_model: str | None, as_json: bool) -> None:
    """Trace an image, a bento or a version to its data and code."""
    from passerelle.cli import show
    from passerelle.stages import trace as stage

    found = stage.run(surroundings(registered_model=registered_model), reference)
    show.traced(Output(as_json=as_json), found)
    if found.differences and as_json:  # the one object holds them already
        raise SystemExit(IntegrityError.exit_code)
    stage.refuse_differences(found)


@click.command()
@stored_model_option("Registered model.  [default: all that the project, the store or a service here holds]")
@json_option
@needs(prerequisites.registry)
def status(registered_model: str | None, as_json: bool) -> None:
    """Show which version is where, and what disagrees."""
    from passerelle.cli import show
    from passerelle.stages import status as stage
    from passerelle.stages.history import refuse_broken
    from passerelle.stages.known_models import check_known

    context = surroundings(registered_model=registered_model)
    found = (stage.run(context),) if registered_model else stage.all_models(context)
    if all(each.holdings.ledger is None for each in found) and is_typed("registered_model"):
        check_known(context)
    show.statuses(Output(as_json=as_json), found)
    for each in found:
        if each.ledger_findings and as_json:  # the one object holds the findings already
            raise SystemExit(IntegrityError.exit_code)
        refuse_broken(each.holdings.registered_model, each.ledger_findings)


@click.command()
@model_option()
@click.option("--verify", is_flag=True, help="Look for entries that were changed, removed or inserted, and for edited tags.")
@json_option
@needs(prerequisites.registry)
def history(registered_model: str | None, verify: bool, as_json: bool) -> None:
    """Print the ledger of promotions and rollbacks."""
    from passerelle.cli import show
    from passerelle.stages import history as stage
    from passerelle.stages.known_models import check_known

    context = surroundings(registered_model=registered_model)
    found = stage.run(context, verify=verify)
    if not (found.entries or found.findings) and is_typed("registered_model"):
        check_known(context)
    show.history(Output(as_json=as_json), found)
    if (found.findings or found.differences) and as_json:  # the one object holds them already
        raise SystemExit(IntegrityError.exit_code)
    stage.refuse_broken(found.registered_model, found.findings)
    stage.refuse_differences(found)


@click.command()
@model_option()
@version_option("Version to go back to.  [default: the one with the alias `previous`]")
@click.option("--reason", help="Why; written in the ledger.")
@dry_run_option
@json_option
@needs(prerequisites.registry)
def rollback(registered_model: str | None, version: int | None, reason: str | None, dry_run: bool, as_json: bool) -> None:
    """Put the previous version back into production."""
    from passerelle.cli import show
    from passerelle.stages import rollback as stage

    output, context = Output(as_json=as_json), surroundings(registered_model=registered_model)
    result = stage.run(context, version=version, reason=reason, dry_run=dry_run)
    show.promotion(output, result)
    if not dry_run:
        output.next_commands("passerelle deploy")


@click.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--encrypt-to", "recipients", metavar="KEY", multiple=True, help="Public key of age, age1…; repeatable.")
@click.option("--make-key", type=click.Path(path_type=Path), help="Write a new private key to this file, print its public key, and end.")
@project_option
@json_option
@needs(prerequisites.backed_up_stack)
def backup(path: Path | None, recipients: tuple[str, ...], make_key: Path | None, project: Path, as_json: bool) -> None:
    """Write the stack's database, artifacts and ledger to a file."""
    from passerelle.cli import show_stack
    from passerelle.stages import backup as stage

    output = Output(as_json=as_json)
    if make_key is not None:
        return show_stack.backup_key(output, make_key, stage.make_key(surroundings(), make_key))
    report = stage.run(surroundings(), path, recipients=recipients, project=project, progress=output.progress)
    show_stack.backup(output, report, "holds")
    if report.broken_ledgers:
        raise SystemExit(IntegrityError.exit_code)
    return None


@click.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--identity", type=click.Path(path_type=Path, dir_okay=False), help="File with the private key of an encrypted backup.")
@click.option("--verify", is_flag=True, help="Restore into a scratch stack, which is removed afterwards, and leave the stack alone.")
@project_option
@dry_run_option
@json_option
@needs(prerequisites.stack)
def restore(path: Path, verify: bool, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Put a backup into an empty stack, and check every object."""
    from passerelle.cli import show_stack
    from passerelle.stages import restore as stage

    output = Output(as_json=as_json)
    verb = "is whole, and would be restored:" if dry_run else "was restored into a scratch stack:" if verify else "is restored:"
    report = stage.run(surroundings(), path, verify=verify, dry_run=dry_run, progress=output.progress, **options)
    show_stack.backup(output, report, verb)
    if report.broken_ledgers:
        raise SystemExit(IntegrityError.exit_code)


@click.command()
@click.argument("bento_model_tag", required=False)
@stored_model_option("Registered model whose version imported last is described.  [default: the only one in the store]")
@needs(prerequisites.bento_model)
def openapi(bento_model_tag: str | None, registered_model: str | None) -> None:
    """Print the OpenAPI description of the service, as JSON.

    BENTO_MODEL_TAG is name:version in the BentoML store; by default the version imported last.
    """
    from passerelle.stages import openapi as stage

    click.echo(json.dumps(stage.run(surroundings(), bento_model_tag, registered_model=registered_model), ensure_ascii=False, indent=2))
