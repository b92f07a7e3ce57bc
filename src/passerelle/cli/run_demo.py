"""The demo: every stage on the embedded platform, from training to an answered /classify."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from passerelle.bentos.build import build
from passerelle.bentos.engine import find_engine
from passerelle.bentos.import_model import import_model
from passerelle.cli import run_training, show
from passerelle.cli.connect import bento_store, open_registry, project_folder, read_state, surroundings
from passerelle.cli.output import Output, plain
from passerelle.cli.run_registry import serving_libraries, who
from passerelle.errors import OutsideError, RefusedError
from passerelle.names import BentoTag
from passerelle.platform.embedded import EmbeddedPlatform
from passerelle.platform.state import running
from passerelle.registry.compare import compare
from passerelle.registry.criteria import read_criteria
from passerelle.registry.promote import Asked, promote
from passerelle.registry.register import register
from passerelle.rollout import local
from training.dataset import demo_data

COMMENT = "Aucune réponse depuis trois mois"


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
    """Return the bento of the model in production, after every stage that leads there; stages that are done change nothing.

    Raises:
        RefusedError: No candidate meets the criteria.
    """
    steps = steps or Steps(output)
    folder = project_folder(project)
    criteria = read_criteria(criteria_path)
    here = surroundings()
    registry = open_registry(here)
    data = demo_data()
    trained = steps.step(
        "train", lambda: run_training.train_or_find(registry, data, output, seed=0, again=False, dry_run=False), run_training.show
    )
    compared = steps.step("compare", lambda: compare(registry, criteria, parent_run_id=trained.parent_run_id), show.comparison)
    if compared.best is None:
        raise RefusedError("no candidate meets the criteria", hint="passerelle compare; training/criteria.yaml")
    registered = steps.step(
        "register", lambda: register(registry, run_id=compared.best.run_id, criteria=criteria, signing=here.signing), show.registered
    )
    asked = Asked(who=who(), signing=here.signing, serving=serving_libraries(folder / "requirements" / "service.txt"))
    steps.step("promote", lambda: promote(registry, ref=registered.ref, criteria=criteria, asked=asked), show.promotion)
    imported = steps.step("import", lambda: import_model(registry, here.store, signing=here.signing), show.imported)
    built = steps.step(
        "build", lambda: build(here.store, bento_model_tag=imported.bento_model_tag, project=folder, signing=here.signing), show.built
    )
    return BentoTag(built.bento_tag.name, built.bento_tag.version)


def run(output: Output, project: Path, criteria_path: Path) -> None:
    """Go the whole path, ask the service, and leave nothing running that did not run before."""
    began = time.monotonic()
    steps = Steps(output)
    with platform_for_the_demo(output):
        bento_tag = path_to_bento(output, project, criteria_path, steps)
        steps.step("containerize", _engine, lambda out, engine: out.line(engine))
        state = read_state()
        output.line("\n▸ deploy")
        with local.attached(bento_tag, settings=bento_store(state), state_dir=state.state_dir) as (_, deployment):
            show.deployment(Output(as_json=False) if not output.as_json else _Silent(), deployment)
            output.line("\n▸ serve")
            answer = _ask(str(deployment.address))
            output.line(f'  POST /classify   {{"text": "{COMMENT}"}}')
            output.line(f"  « {COMMENT} »  →  « {answer['label']} »   ({answer['probability']:.0%}, version {answer['model_version']})")
    if output.as_json:
        output.result({**{name: plain(result) for name, result in steps.results.items()}, "deploy": deployment, "answer": answer})
    output.line(f"\nDone in {time.monotonic() - began:.0f} s; nothing is left running. Next:")
    output.line("  make up                  the same platform and the service, on stay: MLflow's pages, S3, the API's page")
    output.line("  passerelle --help        one command a stage (in .venv/bin); README.md has the table")
    output.line("  training/                the part to replace by yours; docs/01-train.md says how")


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
        os.environ.update(found.environment)
        yield
        return
    output.line("▸ platform")
    with EmbeddedPlatform(state.state_dir, output.progress) as platform:
        os.environ.update(platform.running.environment)
        yield


def _engine() -> str:
    try:
        return f"  left out here: it takes a minute; {find_engine()} is ready for `passerelle containerize`"
    except OutsideError as error:
        return f"  left out: {error.message}"


def _ask(address: str) -> dict[str, Any]:
    try:
        answer = requests.post(f"{address}/classify", json={"text": COMMENT}, timeout=10)
        answer.raise_for_status()
    except requests.RequestException as error:
        raise OutsideError(f"the service at {address} did not answer the comment", hint="make demo") from error
    return dict(answer.json())
