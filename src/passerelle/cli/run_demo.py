"""The demo: every stage from training to an answered /classify, on the embedded platform or on the stack."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from passerelle.bentos.engine import find_engine
from passerelle.cli import run_training, show
from passerelle.cli.connect import Surroundings, bento_store, open_registry, project_folder, reach, read_state, surroundings
from passerelle.cli.output import Output, plain
from passerelle.cli.run_production import bento_in_production, golden_of
from passerelle.cli.run_registry import asked_here
from passerelle.criteria import read_criteria
from passerelle.errors import NotFoundError, OutsideError, RefusedError
from passerelle.model.golden import Golden
from passerelle.names import MADE_BY_DEMO, BentoTag
from passerelle.platform.embedded import EmbeddedPlatform
from passerelle.platform.state import running
from passerelle.registry.client import Registry
from passerelle.rollout import local
from passerelle.settings import ClientSettings
from passerelle.stages.compare import compare
from passerelle.stages.demo_ownership import REASON, Production, found_by_demo
from passerelle.stages.promote import promote
from passerelle.stages.register import register
from passerelle.training.project import read_training_project

_ASK_TIMEOUT_S = 10
#: The proxy of the stack looks every second which replicas are ready.
_RETRY = Retry(total=5, backoff_factor=0.5, status_forcelist=(502, 503), allowed_methods=None)


class Steps:
    """Prints each stage with its place and its time, and keeps the results for `--json`."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self.results: dict[str, Any] = {}

    def step(self, name: str, call: Callable[[], Any], shown: Callable[[Output, Any], None]) -> Any:
        """Run one stage and print what it gave."""
        self.output.line(f"\n▸ {name}")
        began = time.monotonic()
        result = call()
        self.results[name] = result
        if not self.output.as_json:
            shown(self.output, result)
            self.output.line(f"  {time.monotonic() - began:.1f} s")
        return result


def path_to_bento(output: Output, project: Path, criteria_path: Path, steps: Steps | None = None) -> BentoTag:
    """Return the bento of the model in production: the demo's own, after every stage that leads there, or the one that others put there.

    Stages that are done change nothing; what others put into production stays there, and nothing is trained beside it.

    Raises:
        RefusedError: No candidate meets the criteria.
        NotFoundError: Others took what was in production away.
    """
    steps = steps or Steps(output)
    here = surroundings()
    registry = open_registry(here)
    found = found_by_demo(registry, here.signing)
    if found.of_others is None:
        found = _to_production(steps, here, registry, project, criteria_path)
    if found.of_others is not None:
        _leave(steps, found)
    return bento_in_production(here, registry, project, steps.step)


def _to_production(steps: Steps, here: Surroundings, registry: Registry, project: Path, criteria_path: Path) -> Production:
    """Train, compare, register and promote; return what was in production before the promotion, which others may have changed meanwhile."""
    project_folder(project)
    criteria, asked = read_criteria(criteria_path), asked_here(here, project, reason=REASON)
    training = read_training_project(project)
    data = training.demo_data()
    trained = steps.step(
        "train",
        lambda: run_training.train_or_find(registry, training, data, steps.output, seed=0, again=False, dry_run=False),
        run_training.show,
    )
    compared = steps.step("compare", lambda: compare(registry, criteria, parent_run_id=trained.parent_run_id), show.comparison)
    if compared.best is None:
        raise RefusedError("no candidate meets the criteria", hint="passerelle compare; training/criteria.yaml")
    run_id, tags = compared.best.run_id, {MADE_BY_DEMO: "true"}
    registered = steps.step(
        "register", lambda: register(registry, run_id=run_id, criteria=criteria, signing=here.signing, tags=tags), show.registered
    )
    found = found_by_demo(registry, here.signing)
    if found.of_others is None:
        looked = replace(asked, since=found.ledger)
        steps.step("promote", lambda: promote(registry, ref=registered.ref, criteria=criteria, asked=looked), show.promotion)
    return found


def _leave(steps: Steps, found: Production) -> None:
    """Say who put what into production.

    Raises:
        NotFoundError: Nothing is there any more.
    """
    steps.results["production"] = {"version": found.version, "of_others": found.of_others}
    if found.version is None:
        message = f"{found.of_others}: nothing is in production, and the demo puts nothing there"
        raise NotFoundError(message, hint="make up; then, in another terminal: passerelle status")
    steps.output.line("\n▸ production")
    steps.output.line(f"  {found.of_others}: it stays there, and the demo trains and promotes nothing")
    steps.output.line("  a demo of its own beside it: PASSERELLE_REGISTERED_MODEL=demo PASSERELLE_EXPERIMENT=demo make demo")


def run(output: Output, project: Path, criteria_path: Path) -> None:
    """Go the whole path on the embedded platform, ask the service, and leave nothing running that did not run before."""
    began = time.monotonic()
    steps = Steps(output)
    with platform_for_the_demo(output):
        bento_tag = path_to_bento(output, project, criteria_path, steps)
        steps.step("containerize", _engine, lambda out, engine: out.line(engine))
        state = read_state()
        store = bento_store(state)
        output.line("\n▸ deploy")
        with local.attached(bento_tag, settings=store, state_dir=state.state_dir) as (_, deployment):
            show.deployment(Output(as_json=False) if not output.as_json else _Silent(), deployment)
            answer = answered(output, str(deployment.address), golden_of(store, bento_tag))
    show_results(output, steps, deployment, answer)
    output.line(f"\nDone in {time.monotonic() - began:.0f} s; nothing is left running. Next:")
    output.line("  make up                  the same platform and the service, on stay: MLflow's pages, S3, the API's page")
    output.line("  passerelle --help        one command a stage (in .venv/bin); README.md has the table")
    output.line("  training/                the part to replace by yours; its README.md says how")


def show_results(output: Output, steps: Steps, deployment: Any, answer: Mapping[str, Any]) -> None:
    """Print all results as one object, for a program."""
    if output.as_json:
        output.result({**{name: plain(result) for name, result in steps.results.items()}, "deploy": deployment, "answer": answer})


class _Silent(Output):
    def __init__(self) -> None:
        super().__init__(as_json=True)

    def result(self, value: Any) -> None:
        """Print nothing: the demo prints all results as one object."""


@contextmanager
def platform_for_the_demo(output: Output) -> Iterator[None]:
    """Run the embedded platform, unless it runs already."""
    state = read_state()
    found = running(state.state_dir)
    if found is not None:
        output.line(f"the embedded platform runs already: MLflow on {found.tracking_uri}")
        reach(found.environment)
        yield
        return
    output.line("▸ platform")
    with EmbeddedPlatform(state.state_dir, output.progress) as platform:
        reach(platform.running.environment)
        yield


def _engine() -> str:
    try:
        return f"  left out here: it takes a minute; {find_engine()} is ready for `passerelle containerize`"
    except OutsideError as error:
        return f"  left out: {error.message}"


def answered(output: Output, address: str, golden: Golden, *, api_key: str | None = None) -> dict[str, Any]:
    """Ask the service and print its answer: to a comment, or to the first golden input of a model that takes something else.

    Raises:
        OutsideError: It does not answer.
    """
    takes_a_text = set(golden.inputs[0]) == {"text"} and isinstance(golden.inputs[0]["text"], str)
    text = ClientSettings.read().demo_text
    record = {"text": text} if takes_a_text else golden.inputs[0]
    output.line("\n▸ serve")
    answer = _ask(address, record, api_key)
    certainty = "" if answer.get("probability") is None else f"{answer['probability']:.0%}, "
    # The fields' values are the training's data.
    asked, of = (f'{{"text": "{text}"}}', f"« {text} »") if takes_a_text else ("the first golden input", ", ".join(record))
    output.line(f"  POST /classify   {asked}")
    output.line(f"  {of}  →  « {answer['label']} »   ({certainty}version {answer['model_version']})")
    return answer


def _ask(address: str, record: Mapping[str, Any], api_key: str | None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=_RETRY))
        try:
            answer = session.post(f"{address}/classify", json=dict(record), headers=headers, timeout=_ASK_TIMEOUT_S)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise OutsideError(f"the service at {address} did not answer its first record", hint="passerelle status") from error
    return dict(answer.json())
