"""The platform, on stay, with the service of what is in production."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from passerelle.errors import PasserelleError, UsageError
from passerelle.names import BentoTag
from passerelle.platform.child import Child
from passerelle.platform.embedded import EmbeddedPlatform
from passerelle.project_file import read_project_file
from passerelle.rollout import local
from passerelle.rollout.compose import StackDeployment
from passerelle.rollout.stack import find_stack
from passerelle.stages.context import Context, Progress, silent, stage
from passerelle.stages.demo import PlatformRuns
from passerelle.stages.events import OnEvent, Steps, unseen
from passerelle.stages.first_answer import is_text
from passerelle.stages.hints import about_model
from passerelle.stages.known_models import known_models
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
        started_by: The command.
    """

    address: str | None
    bento_tag: BentoTag
    record: Mapping[str, str] | None = None
    started_by: str = "up"


@dataclass(frozen=True)
class ServiceReplaced:
    """`deploy` ended the service of a model.

    Attributes:
        address: Of the one that runs in its place; None where none does.
    """

    registered_model: str
    address: str | None


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
    """Keep the embedded platform on, and the service of each model's version in production, until SIGINT or SIGTERM.

    Args:
        platform_only: Leave the services out.
        port: Of the only service, on loopback; None for the one that it had before.
        log_columns: Columns of the record that the prediction log holds, in place of those of the settings.
        on_event: Gets `PlatformRuns`, then what became of each service, then "wait" as it begins and ends.

    Raises:
        BusyError: Another process runs the platform.
        OutsideError: The platform or the service does not start, or ended by itself.
        UsageError: A model lacks a column that is to be logged, or a port is given and there are several models.
    """
    _check_logs(platform_only=platform_only, log_columns=log_columns)
    if not platform_only:
        check(project, None, progress)
        _check_port(port, tuple(known_models(context, project)))
    steps = Steps(on_event)
    with ExitStack() as stack:
        platform = stack.enter_context(EmbeddedPlatform(context.state.state_dir, progress))
        new = platform.running
        steps.found("platform", PlatformRuns(new.tracking_uri, new.s3.endpoint_url, new.s3.bucket, started=True))
        there = context.at(new.environment)
        services: list[tuple[str, Child]] = []
        for name, model in {} if platform_only else known_models(there, project).items():
            child = service_of_production(model, stack, project, port=port, log_columns=log_columns, steps=steps, progress=progress)
            services += [(name, child)] if child else []
        steps.step(
            "wait", lambda: platform.wait([child for _, child in services], replaced=partial(_is_replaced, context, services, steps))
        )


def _check_logs(*, platform_only: bool, log_columns: Sequence[str]) -> None:
    """Check that columns are named for a service that starts; raises UsageError otherwise."""
    if platform_only and log_columns:
        message = "--log-column belongs to the service, and --no-model leaves the service out"
        raise UsageError(message, hint=f"passerelle up --log-column {shlex.quote(log_columns[0])}")


def _check_port(port: int | None, names: Sequence[str]) -> None:
    """Check that one service alone would get the port; raises UsageError otherwise."""
    if port is not None and len(names) > 1:
        message = f"--port names one port, and there are {len(names)} models: {', '.join(names)}; each keeps the port that it had before"
        raise UsageError(message, hint="passerelle up")


def service_of_production(
    context: Context,
    stack: ExitStack,
    project: Path,
    *,
    port: int | None,
    log_columns: Sequence[str] = (),
    steps: Steps,
    progress: Progress = silent,
) -> Child | None:
    """Return the service of a model's version in production, which ends with the stack; None where none is started, and why is an event.

    Nothing is trained, registered or promoted. What cannot be served ends nothing: the platform is needed to mend it. A service of the
    model that `deploy` started stays as it is.

    Raises:
        UsageError: The model lacks a column that is to be logged.
    """
    name, state_dir = context.registered_model, context.state.state_dir
    running = local.running_service(state_dir, name)
    if running is not None:
        steps.found("service", ServiceRuns(running.address, BentoTag.parse(running.tag), started_by=running.started_by))
        return None
    tag = _bento_to_serve(context, project, steps)
    if tag is None:
        return None
    variables = {**context.environment, **column_setting(context.store, tag, log_columns, target=None)}
    attached = local.attached(
        tag, settings=context.store, state_dir=state_dir, port=port, environment=variables, started_by="up", progress=progress
    )
    try:
        child, deployment = stack.enter_context(attached)
    except PasserelleError as error:
        steps.found("service", NotServed(error))
        return None
    golden = golden_of(context.store, tag)
    text = is_text(golden) and bool(golden.classes)
    steps.found("service", ServiceRuns(deployment.address, tag, {"text": context.client.demo_text} if text else None))
    return child


def _bento_to_serve(context: Context, project: Path, steps: Steps) -> BentoTag | None:
    """Return the bento of the version in production; None where there is none or it cannot be made, and why is an event."""
    try:
        nothing = nothing_in_production(context.registry, *_next_commands(project, context.registered_model))
        if nothing is None:
            return bento_in_production(context, project, steps)
        steps.found("service", nothing)
    except PasserelleError as error:
        steps.found("service", NotServed(error))
    return None


def _next_commands(project: Path, name: str) -> tuple[tuple[str, str], ...]:
    """Return what leads to a service of a model; the demo is about the model of the settings."""
    models = read_project_file(project).models
    if len(models) == 1:
        return _NEXT
    own = name == models[0].name
    return tuple((about_model(command, name), does) for command, does in _NEXT if own or not command.startswith("make"))


def _is_replaced(context: Context, services: Sequence[tuple[str, Child]], steps: Steps, child: Child) -> bool:
    """Return whether `deploy` ended this service, and say which one runs in its place."""
    name = next(name for name, each in services if each is child)
    now = local.running_service(context.state.state_dir, name)
    if local.is_recorded(context.state.state_dir, name, child.pid):
        return False
    steps.found("service", ServiceReplaced(name, now.address if now else None))
    return True


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
    nothing = nothing_in_production(there.registry, *_NEXT_ON_THE_STACK)
    if platform_only:
        return PlatformOnly(FILL if nothing is not None else "passerelle deploy --target compose")
    if nothing is not None:
        return nothing
    tag = bento_in_production(there, project, Steps())
    return deployed(there, stack, tag, log_columns=log_columns, dry_run=False, progress=progress)
