"""The demo: every stage from training to an answered /classify, on the embedded platform or on the compose stack."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from passerelle.bentos.engine import find_engine
from passerelle.criteria_file import read_criteria
from passerelle.errors import CriteriaError, NotFoundError, OutsideError
from passerelle.names import MADE_BY_DEMO, BentoTag
from passerelle.platform.embedded import EmbeddedPlatform
from passerelle.platform.state import running
from passerelle.rollout import local
from passerelle.rollout.compose import StackDeployment
from passerelle.rollout.local import Deployment
from passerelle.rollout.secret_files import API_KEY, read_secret
from passerelle.rollout.stack import find_stack
from passerelle.stages import train
from passerelle.stages.compare import compare
from passerelle.stages.context import CRITERIA, Context, Progress, project_folder, silent, stage
from passerelle.stages.demo_ownership import REASON, Production, found_by_demo
from passerelle.stages.env import Platform
from passerelle.stages.events import OnEvent, Steps, unseen
from passerelle.stages.first_answer import FirstAnswer, first_answer
from passerelle.stages.new import check
from passerelle.stages.production_bento import bento_in_production, golden_of
from passerelle.stages.promote import PromoteOptions, promote, promotion_request
from passerelle.stages.register import register
from passerelle.stages.shared_model import name_other_projects, tags_of_project
from passerelle.stages.stack_deploy import brought_up, deployed
from passerelle.training.project import read_training_project


@dataclass(frozen=True)
class OfOthers:
    """What others put into production, which stays there.

    Attributes:
        version: None where nothing is there any more.
        of_others: Who put it there and when, as a sentence.
    """

    version: int | None
    of_others: str


@dataclass(frozen=True)
class PlatformRuns:
    """The embedded platform that the commands work on.

    Attributes:
        started: False when it ran already.
    """

    tracking_uri: str
    s3: str | None
    bucket: str
    started: bool


@dataclass(frozen=True)
class Demonstration:
    """What the demo did.

    Attributes:
        results: What each stage returned, by its name, in order.
        answer: None where the service is not asked from here.
    """

    deployment: Deployment | StackDeployment
    answer: FirstAnswer | None
    results: Mapping[str, object] = field(default_factory=dict)


@stage
def run(
    context: Context,
    target: Platform = "embedded",
    *,
    project: Path = Path(),
    criteria: Path = CRITERIA,
    progress: Progress = silent,
    on_event: OnEvent = unseen,
) -> Demonstration:
    """Run every stage and query the service; a version that others put into production is served as it is.

    The embedded platform is stopped unless it ran before; the stack keeps running.

    Raises:
        CriteriaError: No candidate meets the criteria.
        NotFoundError: Others took what was in production away.
        As the stages.
    """
    check(project, criteria, progress)
    steps = Steps(on_event)
    if target == "compose":
        return _on_the_stack(context, project, criteria, steps, progress)
    with platform_of(context, steps, progress) as here:
        tag = path_to_bento(here, project, criteria, steps, progress)
        steps.step("containerize", _engine)
        attached = local.attached(tag, settings=here.store, state_dir=here.state.state_dir, environment=here.environment)
        steps.begin("deploy")
        with attached as (_, deployment):
            steps.found("deploy", deployment)
            golden = golden_of(here.store, tag)
            answer = steps.step("serve", lambda: first_answer(str(deployment.address), golden, comment=context.client.demo_text))
    return Demonstration(deployment, answer, steps.results)


def _on_the_stack(context: Context, project: Path, criteria: Path, steps: Steps, progress: Progress) -> Demonstration:
    stack = find_stack(project)
    there, found = brought_up(context, stack, progress=progress)
    steps.found("stack", found)
    tag = path_to_bento(there, project, criteria, steps, progress)
    deployment = steps.step("containerize and deploy", lambda: deployed(there, stack, tag, dry_run=False, progress=progress))
    address = str(deployment.address)
    if address.startswith("https://"):
        # Its certificate is for a name that this machine may not know.
        return Demonstration(deployment, None, steps.results)
    golden, key = golden_of(there.store, tag), read_secret(stack.secrets, API_KEY)
    return Demonstration(
        deployment, steps.step("serve", lambda: first_answer(address, golden, comment=context.client.demo_text, api_key=key)), steps.results
    )


@contextmanager
def platform_of(context: Context, steps: Steps, progress: Progress) -> Iterator[Context]:
    """Yield the context of the embedded platform, which is run for as long as the body unless it runs already."""
    state_dir = context.state.state_dir
    found = running(state_dir)
    if found is not None:
        steps.found("platform", PlatformRuns(found.tracking_uri, found.s3.endpoint_url, found.s3.bucket, started=False))
        yield context.at(found.environment)
        return
    steps.begin("platform")
    with EmbeddedPlatform(state_dir, progress) as platform:
        new = platform.running
        steps.found("platform", PlatformRuns(new.tracking_uri, new.s3.endpoint_url, new.s3.bucket, started=True))
        yield context.at(new.environment)


def path_to_bento(context: Context, project: Path, criteria: Path, steps: Steps, progress: Progress) -> BentoTag:
    """Return the bento of the model in production: the demo's own, after every stage that leads there, or the one that others put there.

    Stages that are done change nothing; what others put into production stays there, and nothing is trained beside it.

    Raises:
        CriteriaError: No candidate meets the criteria.
        NotFoundError: Others took what was in production away.
    """
    found = found_by_demo(context.registry, context.signing)
    if found.of_others is None:
        found = _to_production(context, project, criteria, steps, progress)
    if found.of_others is not None:
        if found.version is None:
            message = f"{found.of_others}: nothing is in production, and the demo puts nothing there"
            raise NotFoundError(message, hint="make up")
        left = OfOthers(found.version, found.of_others)
        steps.step("production", lambda: left)
    return bento_in_production(context, project, steps)


def _to_production(context: Context, project: Path, criteria_path: Path, steps: Steps, progress: Progress) -> Production:
    """Train, compare, register and promote; return what was in production before the promotion, which others may have changed meanwhile."""
    project_folder(project)
    registry, signing = context.registry, context.signing
    criteria = read_criteria(criteria_path)
    # The demo's data has criteria of its own.
    request = replace(
        promotion_request(
            context, project, PromoteOptions(accept=("champion-gone", "criteria", "too-few-rows", "withdrawn"), reason=REASON)
        ),
        project_criteria=criteria.digest,
    )
    training = read_training_project(project, context.registered_model)
    data = training.demo_data()
    trained = steps.step(
        "train", lambda: train.train_or_find(registry, training, data, seed=0, again=False, dry_run=False, progress=progress)
    )
    compared = steps.step("compare", lambda: compare(registry, criteria, parent_run_id=trained.parent_run_id))
    if compared.best is None:
        raise CriteriaError(f"no candidate meets the criteria in {criteria_path}", hint=f"cat {shlex.quote(str(criteria_path))}")
    run_id, tags = compared.best.run_id, {MADE_BY_DEMO: "true", **tags_of_project(project)}
    registered = steps.step("register", lambda: register(registry, run_id=run_id, criteria=criteria, signing=signing, tags=tags))
    name_other_projects(registry, project, progress)
    found = found_by_demo(registry, signing)
    ref = registered.ref
    if found.of_others is None and ref is not None:
        request = replace(request, since=found.ledger)
        steps.step("promote", lambda: promote(registry, ref=ref, criteria=criteria, request=request))
    return found


def _engine() -> str:
    try:
        return f"  left out here: it takes a minute; {find_engine()} is ready for `passerelle containerize`"
    except OutsideError as error:
        return f"  left out: {error.message}"


def as_object(done: Demonstration) -> dict[str, Any]:
    """Return the results of all stages with the deployment and the answer, for `--json`."""
    stages = {
        name: result for name, result in done.results.items() if name not in {"platform", "stack", "serve", "containerize and deploy"}
    }
    return {**stages, "deploy": done.deployment, "answer": done.answer.answer if done.answer else {}}
