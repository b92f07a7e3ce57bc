"""The platform, on stay, with the service of what is in production."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from passerelle.errors import PasserelleError, UsageError
from passerelle.names import BentoTag
from passerelle.platform.child import Child
from passerelle.platform.embedded import EmbeddedPlatform
from passerelle.rollout import local
from passerelle.rollout.compose import StackDeployment
from passerelle.rollout.stack import find_stack
from passerelle.stages.context import Context, Progress, silent, stage
from passerelle.stages.demo import PlatformRuns
from passerelle.stages.events import OnEvent, Steps, unseen
from passerelle.stages.first_answer import is_text
from passerelle.stages.log_columns import column_setting
from passerelle.stages.new import check
from passerelle.stages.production_bento import NothingInProduction, bento_in_production, golden_of, nothing_in_production
from passerelle.stages.stack_deploy import FILL, brought_up, deployed

_NEXT = (
    ("make demo", "trains the demo's candidates and promotes the best one, in another terminal"),
    (
        "passerelle train; passerelle promote --best",
        "the same by its stages; training/README.md says how to train on your data",
    ),
    ("passerelle import; passerelle build; passerelle deploy", "then serves it; so does `passerelle up` after Ctrl-C here"),
)
_NEXT_ON_THE_STACK = (
    ("make stack", "trains the demo's candidates, promotes the best one and serves it"),
    (FILL, "the same by its stages; training/README.md says how to train on your data"),
)


@dataclass(frozen=True)
class ServiceRuns:
    """The service of what is in production answers.

    Attributes:
        record: That it may be asked with; None of a model whose examples are the training's data.
    """

    address: str | None
    bento_tag: BentoTag
    record: Mapping[str, str] | None = None


@dataclass(frozen=True)
class NotServed:
    """What is in production cannot be served; the platform stays on."""

    error: PasserelleError


@dataclass(frozen=True)
class PlatformOnly:
    """No service was asked for.

    Attributes:
        next_command: What leads to one.
    """

    next_command: str


@stage
def run(
    context: Context,
    *,
    project: Path = Path(),
    platform_only: bool = False,
    port: int | None = None,
    log_columns: Sequence[str] = (),
    progress: Progress = silent,
    on_event: OnEvent = unseen,
) -> None:
    """Keep the embedded platform on, and the service of the version in production, until SIGINT or SIGTERM.

    Args:
        platform_only: Leave the service out.
        port: Of the service, on loopback; None for a free one.
        log_columns: Columns of the record that the prediction log holds, in place of those of the settings.
        on_event: Gets `PlatformRuns`, then what became of the service, then "wait" as it begins and ends.

    Raises:
        BusyError: Another process runs the platform.
        OutsideError: The platform or the service does not start, or ended by itself.
        UsageError: The model lacks a column that is to be logged.
    """
    _check_logs(platform_only=platform_only, log_columns=log_columns)
    if not platform_only:
        check(project, None, progress)
    steps = Steps(on_event)
    with ExitStack() as stack:
        platform = stack.enter_context(EmbeddedPlatform(context.state.state_dir, progress))
        new = platform.running
        steps.found("platform", PlatformRuns(new.tracking_uri, new.s3.endpoint_url, new.s3.bucket, started=True))
        there = context.at(new.environment)
        service = None if platform_only else service_of_production(there, stack, project, port=port, log_columns=log_columns, steps=steps)
        steps.step("wait", lambda: platform.wait([service] if service else []))


def _check_logs(*, platform_only: bool, log_columns: Sequence[str]) -> None:
    """Check that columns are named for a service that starts; raises UsageError otherwise."""
    if platform_only and log_columns:
        message = "--log-column belongs to the service, and --no-model leaves the service out"
        raise UsageError(message, hint=f"passerelle up --log-column {shlex.quote(log_columns[0])}")


def service_of_production(
    context: Context, stack: ExitStack, project: Path, *, port: int | None, log_columns: Sequence[str] = (), steps: Steps
) -> Child | None:
    """Return the service of the version in production, which ends with the stack; None where there is none, and why is an event.

    Nothing is trained, registered or promoted. What cannot be served ends nothing: the platform is needed to mend it.

    Raises:
        UsageError: The model lacks a column that is to be logged.
    """
    try:
        nothing = nothing_in_production(context.registry, *_NEXT)
        if nothing is not None:
            steps.found("service", nothing)
            return None
        tag = bento_in_production(context, project, steps)
    except PasserelleError as error:
        steps.found("service", NotServed(error))
        return None
    variables = {**context.environment, **column_setting(context.store, tag, log_columns, target=None)}
    try:
        attached = local.attached(tag, settings=context.store, state_dir=context.state.state_dir, port=port, environment=variables)
        child, deployment = stack.enter_context(attached)
    except PasserelleError as error:
        steps.found("service", NotServed(error))
        return None
    golden = golden_of(context.store, tag)
    text = is_text(golden) and bool(golden.classes)
    steps.found("service", ServiceRuns(deployment.address, tag, {"text": context.client.demo_text} if text else None))
    return child


@stage
def run_stack(
    context: Context,
    *,
    project: Path = Path(),
    platform_only: bool = False,
    log_columns: Sequence[str] = (),
    progress: Progress = silent,
    on_event: OnEvent = unseen,
) -> StackDeployment | NothingInProduction | PlatformOnly:
    """Bring the compose stack up and serve what is in production; the stack stays on.

    Raises:
        NotFoundError: The project holds no stack.
        OutsideError: No engine answers, or a part of the stack does not start.
        UsageError: The model lacks a column that is to be logged.
    """
    _check_logs(platform_only=platform_only, log_columns=log_columns)
    if not platform_only:
        check(project, None, progress)
    stack = find_stack(project)
    there, found = brought_up(context, stack, progress=progress)
    Steps(on_event).found("stack", found)
    if platform_only:
        return PlatformOnly(FILL)
    nothing = nothing_in_production(there.registry, *_NEXT_ON_THE_STACK)
    if nothing is not None:
        return nothing
    tag = bento_in_production(there, project, Steps())
    return deployed(there, stack, tag, log_columns=log_columns, dry_run=False, progress=progress)
