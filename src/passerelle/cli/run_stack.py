"""What the commands about the compose stack need before and after their stage."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from passerelle.bentos.build import build
from passerelle.bentos.containerize import Wanted
from passerelle.bentos.import_model import import_model
from passerelle.bentos.store import Store
from passerelle.cli import run_image, show_stack
from passerelle.cli.connect import Surroundings, bento_store, open_registry, project_folder, read_state, surroundings
from passerelle.cli.output import Output
from passerelle.cli.run_demo import path_to_bento
from passerelle.cli.run_registry import who
from passerelle.errors import NotFoundError
from passerelle.names import BentoTag
from passerelle.registry.client import Registry
from passerelle.registry.objects import Objects
from passerelle.rollout.backup import BackupReport, backup, restore
from passerelle.rollout.compose import Prepared, StackDeployment, bring_up
from passerelle.rollout.compose import deploy as deploy_stage
from passerelle.rollout.release import Release
from passerelle.rollout.stack import Stack, find_stack
from passerelle.serving.golden import read_golden
from passerelle.settings import S3Settings

_FILL = 'eval "$(passerelle env --target compose)"; passerelle train; passerelle promote --best; passerelle deploy --target compose'
#: Read before what `Stack.environment` gives.
_POINTS_ELSEWHERE = (
    "PASSERELLE_TRACKING_URI",
    "PASSERELLE_S3_ENDPOINT_URL",
    "PASSERELLE_S3_ACCESS_KEY_ID",
    "PASSERELLE_S3_SECRET_ACCESS_KEY",
    "PASSERELLE_S3_REGION",
)


def release_of(bento_tag: BentoTag, *, dry_run: bool, output: Output, image: str | None = None) -> Release:
    """Return what is to be served: the image that was named, or the bento's, made now where the engine has none.

    Raises:
        NotFoundError: The bento's model is gone from the store.
    """
    store = bento_store(read_state())
    model = Store(store).model(bento_tag)
    golden = read_golden(Path(model.path) / "golden.json") if model else None
    if model is None or golden is None:
        raise NotFoundError(
            f"the model of the bento {bento_tag} is gone from the BentoML store", hint="passerelle import; passerelle build"
        )
    if image is None:
        made = run_image.containerize(str(bento_tag), Wanted(), smoke=True, dry_run=dry_run, progress=output.progress)
        image = str(made.built.image)
    version = str(model.info.labels.get("passerelle.version", bento_tag.version.partition("-")[0]))
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
    _reach(stack)
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
    return _deployed(output, stack, _bento_of(here, registry, project), dry_run=dry_run)


def _deployed(output: Output, stack: Stack, tag: BentoTag, *, dry_run: bool) -> StackDeployment:
    return deploy_stage(stack, release_of(tag, dry_run=dry_run, output=output), dry_run=dry_run, progress=output.progress)


def up(output: Output, project: Path, criteria_path: Path, *, platform_only: bool) -> None:
    """Bring the stack up, carry the demo's model across where the registry is empty, and serve what is in production."""
    stack = find_stack(project)
    _brought_up(output, stack, init=True)
    _reach(stack)
    output.line(f"MLflow      {stack.address('mlflow', 5000)}   user admin, password in {stack.secrets / 'mlflow_admin_password'}")
    output.line(f"S3          {os.environ.get('MLFLOW_S3_ENDPOINT_URL', 'AWS')}")
    output.line(f"Prometheus  {stack.address('prometheus', 9090)}")
    if platform_only:
        output.line(f"No model is deployed: {_FILL}")
        return
    show_stack.stack_deployment(output, _deployed(output, stack, _production_bento(output, project, criteria_path), dry_run=False))


def _brought_up(output: Output, stack: Stack, *, init: bool) -> tuple[str, ...]:
    made = bring_up(stack, init=init, progress=output.progress)
    if made:
        output.progress(f"made {len(made)} secrets in {stack.secrets}")
    return made


def _reach(stack: Stack) -> None:
    """Let what follows use the stack's registry, whatever this process was pointed at before."""
    found = stack.environment()
    for name in _POINTS_ELSEWHERE:
        os.environ.pop(name, None)
    os.environ.update(found)


def _production_bento(output: Output, project: Path, criteria_path: Path) -> BentoTag:
    """Return the bento of the version in production; of the demo's model where nothing is in production yet."""
    here = surroundings()
    registry = open_registry(here)
    if registry.aliases(here.mlflow.registered_model).get(here.mlflow.alias) is None:
        output.line("The registry has nothing in production: the demo's model goes the whole way.")
        return path_to_bento(output, project, criteria_path)
    return _bento_of(here, registry, project)


def _bento_of(here: Surroundings, registry: Registry, project: Path) -> BentoTag:
    """Return the bento of the version in production, imported and built where it is not there."""
    tag = import_model(registry, here.store, signing=here.signing).bento_model_tag
    return build(here.store, bento_model_tag=tag, project=project_folder(project), signing=here.signing).bento_tag


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
