"""What the commands about the compose stack need before and after their stage."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from passerelle.bentos.build import build
from passerelle.bentos.containerize import Wanted
from passerelle.bentos.store import Store
from passerelle.cli import run_image, show_stack
from passerelle.cli.connect import Surroundings, bento_store, open_registry, project_folder, reach, read_state, surroundings
from passerelle.cli.output import Output
from passerelle.cli.run_demo import Steps, answered, path_to_bento, show_results
from passerelle.cli.run_production import bento_in_production, golden_of, is_in_production, say_nothing_is_in_production, unshown
from passerelle.cli.run_registry import who
from passerelle.errors import NotFoundError
from passerelle.names import VERSION_LABEL, BentoTag
from passerelle.registry.client import Registry
from passerelle.registry.objects import Objects
from passerelle.rollout.backup import BackupReport, backup, restore
from passerelle.rollout.compose import Prepared, StackDeployment, bring_up
from passerelle.rollout.compose import deploy as deploy_stage
from passerelle.rollout.release import Release
from passerelle.rollout.secret_files import API_KEY, read_secret
from passerelle.rollout.stack import Stack, find_stack
from passerelle.settings import S3Settings
from passerelle.stages.import_model import import_model

_FILL = 'eval "$(passerelle env --target compose)"; passerelle train; passerelle promote --best; passerelle deploy --target compose'
_NEXT = (
    ("make stack", "trains the demo's candidates, promotes the best one and serves it"),
    (_FILL, "the same by its stages; docs/01-train.md says how to train on your data"),
)


def release_of(bento_tag: BentoTag, *, dry_run: bool, output: Output, image: str | None = None) -> Release:
    """Return what is to be served: the image that was named, or the bento's, made now where the engine has none.

    Raises:
        NotFoundError: The bento's model is gone from the store.
    """
    store = bento_store(read_state())
    golden = golden_of(store, bento_tag)
    model = Store(store).model(bento_tag)
    if image is None:
        made = run_image.containerize(str(bento_tag), Wanted(), smoke=True, dry_run=dry_run, progress=output.progress)
        image = str(made.built.image)
    labels = model.info.labels if model else {}
    version = str(labels.get(VERSION_LABEL, bento_tag.version.partition("-")[0]))
    return Release(bento_tag, image, golden, version)


def deploy(output: Output, bento_tag: str | None, project: Path, *, init: bool, dry_run: bool) -> StackDeployment | Prepared:
    """Serve the version in production, or the bento that was named, from the stack, which is brought up first where it does not run.

    Raises:
        NotFoundError: A secret is missing, or nothing is in production.
    """
    stack = find_stack(project)
    stack.check()
    made: tuple[str, ...] = ()
    if not dry_run and (init or not stack.runs("proxy")):
        made = _brought_up(output, stack, init=init)
    stack.check_secrets()
    if bento_tag is not None:
        return _deployed(output, stack, BentoTag.parse(bento_tag), dry_run=dry_run)
    reach(stack.environment())
    here = surroundings()
    registry = open_registry(here)
    model = here.mlflow.registered_model
    if registry.aliases(model).get(here.mlflow.alias) is None:
        missing = f"no version of {model} is « {here.mlflow.alias} » in the stack's registry"
        if not init:
            raise NotFoundError(f"{missing}: there is nothing to deploy", hint=_FILL)
        return Prepared(stack.address("mlflow", 5000), made, missing, _FILL)
    wanted = _would_make(here, registry, project) if dry_run else None
    if wanted is not None:
        return StackDeployment(None, wanted, f"passerelle/{wanted}", None, changed=True, dry_run=True)
    return _deployed(output, stack, bento_in_production(here, registry, project, unshown), dry_run=dry_run)


def _deployed(output: Output, stack: Stack, tag: BentoTag, *, dry_run: bool) -> StackDeployment:
    return deploy_stage(stack, release_of(tag, dry_run=dry_run, output=output), dry_run=dry_run, progress=output.progress)


def up(output: Output, project: Path, *, platform_only: bool) -> None:
    """Bring the stack up and serve what is in production; where nothing is, say what to type."""
    stack = find_stack(project)
    _on(output, stack)
    if platform_only:
        output.line(f"No model is deployed: {_FILL}")
        return
    here = surroundings()
    registry = open_registry(here)
    if not is_in_production(registry):
        say_nothing_is_in_production(output, registry, *_NEXT)
        return
    tag = bento_in_production(here, registry, project, unshown)
    show_stack.stack_deployment(output, _deployed(output, stack, tag, dry_run=False))


def demo(output: Output, project: Path, criteria_path: Path) -> None:
    """Bring the stack up, go the whole path on it, and ask its service; what others put into production is served as it is."""
    stack = find_stack(project)
    steps = Steps(output)
    _on(output, stack)
    tag = path_to_bento(output, project, criteria_path, steps)
    output.line("\n▸ containerize and deploy")
    deployment = _deployed(output, stack, tag, dry_run=False)
    if not output.as_json:
        show_stack.stack_deployment(output, deployment)
    address = str(deployment.address)
    if address.startswith("https://"):
        # Its certificate is for a name that this machine may not know.
        output.line(f"\nthe golden inputs were asked inside of the containers; outside it is {address}")
        answer: dict[str, Any] = {}
    else:
        golden = golden_of(bento_store(read_state()), tag)
        answer = answered(output, address, golden, api_key=read_secret(stack.secrets, API_KEY))
    show_results(output, steps, deployment, answer)


def _on(output: Output, stack: Stack) -> None:
    _brought_up(output, stack, init=True)
    reach(stack.environment())
    output.line(f"MLflow      {stack.address('mlflow', 5000)}   user admin, password in {stack.secrets / 'mlflow_admin_password'}")
    output.line(f"S3          {os.environ.get('MLFLOW_S3_ENDPOINT_URL', 'AWS')}")
    output.line(f"Prometheus  {stack.address('prometheus', 9090)}")


def _brought_up(output: Output, stack: Stack, *, init: bool) -> tuple[str, ...]:
    made = bring_up(stack, init=init, progress=output.progress)
    if made:
        output.progress(f"made {len(made)} secrets in {stack.secrets}")
    return made


def _would_make(here: Surroundings, registry: Registry, project: Path) -> BentoTag | None:
    """Return the bento of the version in production where it has to be imported or built first; None where it is there."""
    imported = import_model(registry, here.store, signing=here.signing, dry_run=True)
    tag = imported.bento_model_tag
    if imported.created:
        return tag
    built = build(here.store, bento_model_tag=tag, project=project_folder(project), signing=here.signing, dry_run=True)
    return tag if built.created else None


def back_up(output: Output, path: Path | None, project: Path) -> BackupReport:
    """Back the stack up into a file; by default one that is named after the time."""
    stack = find_stack(project)
    stack.check()
    chosen = path or Path(f"passerelle-{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.tar")
    objects, locks = (_objects(stack, user) for user in ("backup", "workbench"))
    return backup(stack, chosen, objects=objects, locks=locks, who=who(), progress=output.progress)


def restored(output: Output, path: Path, project: Path, *, dry_run: bool) -> BackupReport:
    """Put a backup into the stack that runs, which must be empty."""
    stack = find_stack(project)
    stack.check()
    return restore(stack, path, objects=_objects(stack, "workbench"), dry_run=dry_run, progress=output.progress)


def _objects(stack: Stack, user: str) -> Objects:
    """Return the bucket as a user sees it: MLflow and the proxy may be down."""
    values = stack.s3_environment(user)
    return Objects(
        S3Settings.read(
            endpoint_url=values.get("MLFLOW_S3_ENDPOINT_URL"),
            access_key_id=values["AWS_ACCESS_KEY_ID"],
            secret_access_key=values["AWS_SECRET_ACCESS_KEY"],
            region=values["AWS_DEFAULT_REGION"],
            bucket=values["PASSERELLE_S3_BUCKET"],
        )
    )
