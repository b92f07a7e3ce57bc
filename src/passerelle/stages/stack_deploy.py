"""Start the compose stack and deploy the version in production to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from passerelle.bentos.build import build
from passerelle.bentos.store import Store
from passerelle.errors import NotFoundError, UsageError, shell_word
from passerelle.follow_settings import FollowSettings
from passerelle.model.golden import read_golden
from passerelle.model.lineage import read_lineage
from passerelle.names import GOLDEN, VERSION_LABEL, BentoTag, bento_name
from passerelle.rollout.compose import Prepared, StackDeployment, bring_up, deploy
from passerelle.rollout.following import Following, following_of
from passerelle.rollout.proxy_settings import check_proxy
from passerelle.rollout.release import Release
from passerelle.rollout.stack import REPLICAS, Stack
from passerelle.stages import containerize, webhook_setup
from passerelle.stages.context import Context, Progress, project_folder
from passerelle.stages.events import Steps
from passerelle.stages.import_model import import_model
from passerelle.stages.log_columns import column_setting
from passerelle.stages.production_bento import bento_in_production
from passerelle.stages.promotion_check import check_deployable

FILL = 'eval "$(passerelle env --target compose)"; passerelle train; passerelle promote --best; passerelle deploy --target compose'


@dataclass(frozen=True)
class StackRuns:
    """Where the parts of the stack that runs answer.

    Attributes:
        password_file: Password of MLflow's user admin.
        s3: None for AWS.
    """

    mlflow: str
    password_file: Path
    s3: str | None
    prometheus: str


def brought_up(context: Context, stack: Stack, *, progress: Progress) -> tuple[Context, StackRuns]:
    """Bring the stack up, its secrets made where they are missing; return its context and where it answers."""
    _bring_up(stack, init=True, progress=progress)
    there = context.at(stack.environment())
    addresses = stack.address("mlflow", 5000), stack.address("prometheus", 9090)
    return there, StackRuns(addresses[0], stack.secrets / "mlflow_admin_password", there.s3.endpoint_url, addresses[1])


def release_of(context: Context, bento_tag: BentoTag, *, dry_run: bool, progress: Progress, image: str | None = None) -> Release:
    """Return what is to be served: the image that was named, or the bento's, made now where the engine has none.

    Raises:
        NotFoundError: The bento's model is gone from the store.
    """
    model = Store(context.store).model_of(bento_tag)
    golden = read_golden(Path(model.path) / GOLDEN)
    if image is None:
        containerized = containerize.run(context, str(bento_tag), dry_run=dry_run, progress=progress)
        image = str(containerized.built.image)
    version = str(model.info.labels.get(VERSION_LABEL, bento_tag.version.partition("-")[0]))
    return Release(bento_tag, image, golden, version, str(read_lineage(Path(model.path))["artifact_digest"]))


def deploy_to_stack(
    context: Context,
    stack: Stack,
    bento_tag: BentoTag | None,
    project: Path,
    *,
    init: bool,
    log_columns: Sequence[str] = (),
    dry_run: bool,
    progress: Progress,
) -> StackDeployment | Prepared:
    """Serve the version in production, or the bento that was named, from the stack, which is brought up first where it does not run.

    Raises:
        NotFoundError: A secret is missing, or nothing is in production.
        UsageError: The model lacks a column that is to be logged.
    """
    stack.check()
    check_one_model(stack, bento_tag.name if bento_tag else bento_name(context.registered_model))
    if bento_tag is not None:
        _logged(context, bento_tag, log_columns)
    new_secrets: tuple[str, ...] = ()
    if not dry_run and (init or not stack.runs("proxy") or not stack.mlflow_is_up_to_date()):
        new_secrets = _bring_up(stack, init=init, progress=progress)
    stack.check_secrets()
    if bento_tag is not None:
        return deployed(context, stack, bento_tag, log_columns=log_columns, dry_run=dry_run, progress=progress)
    there = context.at(stack.environment())
    settings = there.registry.settings
    if there.registry.aliases(settings.registered_model).get(settings.alias) is None:
        missing = f"no version of {settings.registered_model} is '{settings.alias}' in the stack's registry"
        if not init:
            raise NotFoundError(f"{missing}: there is nothing to deploy", hint=FILL)
        return Prepared(stack.address("mlflow", 5000), new_secrets, missing, FILL)
    planned_tag = _would_make(there, project) if dry_run else None
    if planned_tag is not None:
        return StackDeployment(None, planned_tag, f"an image of {planned_tag}", None, changed=True, dry_run=True)
    tag = bento_in_production(there, project, Steps())
    return deployed(there, stack, tag, log_columns=log_columns, dry_run=dry_run, progress=progress)


def check_one_model(stack: Stack, name: str) -> None:
    """Check that the stack serves this model or none, as its replicas and its proxy serve one.

    Raises:
        UsageError: It serves another.
    """
    served = (stack.values().get("SERVICE_BENTO") or "").partition(":")[0]
    if served and served != name:
        message = (
            f"the stack in {stack.folder} serves {served}, and a stack serves one registered model; the embedded platform serves several"
        )
        raise UsageError(message, hint=f"passerelle deploy --model {shell_word(name)}")


def deployed(
    context: Context, stack: Stack, tag: BentoTag, *, log_columns: Sequence[str] = (), dry_run: bool, progress: Progress
) -> StackDeployment:
    """Put the bento's image behind the stack's proxy, and let MLflow call the replicas where they follow.

    Raises:
        UsageError: The model lacks a column that is to be logged.
        RefusedError: The stack is production, and no promotion put the version there.
    """
    check_one_model(stack, tag.name)
    check_deployable(context, tag, production=(stack.values().get("PASSERELLE_ENVIRONMENT") or "production") == "production")
    stack = replace(stack, overrides={**stack.overrides, **_logged(context, tag, log_columns)})
    done = deploy(stack, release_of(context, tag, dry_run=dry_run, progress=progress), dry_run=dry_run, progress=progress)
    return replace(done, following=_following(context, stack, dry_run=dry_run))


def _logged(context: Context, tag: BentoTag, log_columns: Sequence[str]) -> dict[str, str]:
    return column_setting(context.store, tag, log_columns, target="compose")


def _following(context: Context, stack: Stack, *, dry_run: bool) -> Following | None:
    settings = FollowSettings.read({name: value for name, value in stack.values().items() if value})
    found = following_of(settings)
    if found is None or not found.webhook or dry_run:
        return found
    urls = [f"http://{replica}:3000{webhook_setup.PATH}" for replica in REPLICAS]
    secret = stack.secrets / "mlflow_webhook_secret"
    return webhook_setup.created(context.at(stack.environment()), found, "passerelle-compose", urls, secret)


def _bring_up(stack: Stack, *, init: bool, progress: Progress) -> tuple[str, ...]:
    check_proxy(stack.values(), stack.folder)
    new_secrets = bring_up(stack, init=init, progress=progress)
    if new_secrets:
        progress(f"made {len(new_secrets)} secrets in {stack.secrets}")
    return new_secrets


def _would_make(context: Context, project: Path) -> BentoTag | None:
    """Return the bento of the version in production where it has to be imported or built first; None where it is there."""
    imported = import_model(context.registry, context.store, signing=context.signing, dry_run=True)
    tag = imported.bento_model_tag
    if imported.created:
        return tag
    built = build(context.store, bento_model_tag=tag, project=project_folder(project), signing=context.signing, dry_run=True)
    return tag if built.created else None
