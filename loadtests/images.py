"""Sizes and times of the image of the bento built last, next to BentoML's and MLflow's of the same model, built in the same run.

    make images

Each is built without the engine's cache, then again with nothing changed; ours once more with a line of code changed.
The table goes to loadtests/results/.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

from loadtests.machine import describe_machine
from passerelle.bentos.build import build
from passerelle.bentos.containerize import containerize
from passerelle.bentos.engine import ask, find_engine, inspect
from passerelle.bentos.image_options import BASE, ImageOptions
from passerelle.bentos.store import Store, latest_bento
from passerelle.errors import NotFoundError, OutsideError
from passerelle.model.golden import read_golden
from passerelle.names import MODEL_FOLDER, BentoTag
from passerelle.rollout.container import smoke
from passerelle.settings import StoreSettings
from passerelle.stages.context import context_of
from tests.engine_fixtures import copied_project

RESULTS = Path(__file__).resolve().parent / "results"
OURS = {
    "passerelle": ImageOptions(image_name="passerelle/measured:whole"),
    "passerelle --slim": ImageOptions(image_name="passerelle/measured:slim", slim=True),
    "passerelle --with-pipeline": ImageOptions(image_name="passerelle/measured:with-pipeline", with_pipeline=True),
}
PEERS = ("passerelle/measured:documented", "passerelle/measured:mlflow")
_TIMEOUT_S = 1800.0
#: As BentoML's documentation shows a service around a MLflow model.
_SERVICE = """
import bentoml
import mlflow.pyfunc
import pandas as pd

IMAGE = bentoml.images.Image(python_version="3.11").python_packages(%s)


@bentoml.service(image=IMAGE)
class Documented:
    model = bentoml.models.BentoModel("%s")

    def __init__(self) -> None:
        self.pyfunc = mlflow.pyfunc.load_model(self.model.path_of("%s"))

    @bentoml.api
    def classify(self, text: str) -> str:
        return str(self.pyfunc.predict(pd.DataFrame([{"text": text}]))[0])
"""


@dataclass(frozen=True)
class Measured:
    """One image.

    Attributes:
        base_mb: Of it, the image that it starts from; 0 where nothing of it stays.
        build_s: Without the engine's cache.
        again_s: With nothing changed.
        new_code_s: With a line of code changed; None where it was not measured.
        ready_s: From the start of a container without privileges to its readiness; None for a peer.
        resident_mib: After the golden inputs; None for a peer.
        packages: In the bill of materials; None where there is none.
    """

    name: str
    size_mb: float
    base_mb: float
    build_s: float
    again_s: float
    ready_s: float | None = None
    resident_mib: float | None = None
    packages: int | None = None
    new_code_s: float | None = None


def ours(settings: StoreSettings, tag: BentoTag, name: str, wanted: ImageOptions) -> Measured:
    """Build our image, again with nothing changed and with new code, and run it."""
    built = containerize(settings, bento_tag=tag, options=replace(wanted, cached=False))
    again = containerize(settings, bento_tag=tag, options=wanted)
    model = Store(settings).model(tag)
    golden = read_golden(Path(model.path) / "golden.json") if model else None
    if model is None or golden is None:
        raise NotFoundError(f"the model of the bento {tag} is gone", hint="passerelle import; passerelle build")
    ran = smoke(built.engine, str(wanted.image_name), golden, expected_version=str(model.info.labels["passerelle.version"]), environment={})
    return Measured(
        name,
        (built.size_bytes or 0) / 1e6,
        0.0 if wanted.slim else megabytes(wanted.base),
        built.seconds,
        again.seconds,
        ran.ready_seconds,
        (ran.resident_bytes or 0) / 2**20,
        built.packages,
        _with_new_code(settings, tag, wanted),
    )


def _with_new_code(settings: StoreSettings, tag: BentoTag, wanted: ImageOptions) -> float:
    """Return how long the image takes once a line of the service was changed."""
    with tempfile.TemporaryDirectory(prefix="passerelle-images-") as temporary:
        project, store = copied_project(Path(temporary) / "project"), Path(temporary) / "bentoml"
        shutil.copytree(Store(settings).home, store, symlinks=True, ignore=shutil.ignore_patterns(".passerelle-*"))
        with (project / "src/passerelle/serving/__init__.py").open("a") as file:
            file.write("\n# changed\n")
        copied = StoreSettings.read(bentoml_home=store)
        build(copied, bento_model_tag=tag, project=project)
        changed = containerize(copied, bento_tag=tag, options=replace(wanted, image_name="passerelle/measured:changed"))
    ask(changed.engine, "image", "rm", "passerelle/measured:changed")
    return changed.seconds


def documented(settings: StoreSettings, tag: BentoTag, work: Path) -> Measured:
    """Build BentoML's default image of the same model."""
    pins = [f"{name}=={version(name)}" for name in ("mlflow", "scikit-learn", "skops", "pandas")]
    project = work / "documented"
    project.mkdir()
    (project / "service.py").write_text(_SERVICE % (", ".join(map(repr, pins)), tag, MODEL_FOLDER))
    environment = {**os.environ, "BENTOML_HOME": str(Store(settings).home.resolve()), "BENTOML_DO_NOT_TRACK": "true"}
    bentoml = [sys.executable, "-m", "bentoml"]
    # The service is named, and the folder is the one that this runs in: `bentoml build` takes either.
    _run([*bentoml, "build", "service:Documented", "--version", "measured"], environment, project)
    image = PEERS[0]
    command = [*bentoml, "containerize", "documented:measured", "--image-tag", image]
    try:
        return _peer("BentoML as documented", image, BASE, lambda more: _run([*command, *more], environment), ["--opt", "no-cache"])
    finally:
        _run([*bentoml, "delete", "--yes", "documented:measured"], environment)


def mlflow_docker(settings: StoreSettings, tag: BentoTag) -> Measured:
    """Build MLflow's image of the same model, with the environment made in the image: its default needs an installer from the internet."""
    model = Store(settings).model(tag)
    if model is None:
        raise NotFoundError(f"the model of the bento {tag} is gone", hint="passerelle import; passerelle build")
    image, folder = PEERS[1], str(Path(model.path) / MODEL_FOLDER)
    command = [sys.executable, "-m", "mlflow", "models", "build-docker", "--model-uri", folder, "--name", image,
               "--env-manager", "local", "--install-mlflow"]  # fmt: skip
    base = f"python:{'.'.join(map(str, sys.version_info[:3]))}-slim"
    return _peer("mlflow models build-docker", image, base, lambda _: _run(command, dict(os.environ)), [])


def megabytes(image: str) -> float:
    """Return the size of an image that the engine has, in megabytes of 10^6 bytes; 0 where it has none."""
    held = inspect("docker", image)
    return (int(held["Size"]) if held else 0) / 1e6


def _peer(name: str, image: str, base: str, build: Callable[[list[str]], None], uncached: list[str]) -> Measured:
    began = time.monotonic()
    build(uncached)
    built = time.monotonic()
    build([])
    return Measured(name, megabytes(image), megabytes(base), built - began, time.monotonic() - built)


def _run(command: list[str], environment: dict[str, str], folder: Path | None = None) -> None:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise OutsideError(f"{' '.join(command[2:5])} failed: {done.stderr[-800:] or done.stdout[-800:]}")


def table(rows: list[Measured]) -> str:
    """Return the rows as Markdown, with each size as a share of the peers'."""
    largest = {row.name: row.size_mb for row in rows if row.ready_s is None}
    lines = [
        "| image | MB | above its base | built | again | new code | ready | resident MiB | packages | "
        + " | ".join(f"of {name}" for name in largest)
        + " |"
    ]
    lines.append("|---|" + "--:|" * (8 + len(largest)))
    for row in rows:
        shares = " | ".join(f"{row.size_mb / size:.2f}" for size in largest.values())
        ready = f"{row.ready_s:.1f} s | {row.resident_mib:.0f} | {row.packages}" if row.ready_s is not None else "— | — | —"
        times = f"{row.build_s:.1f} s | {row.again_s:.1f} s | {f'{row.new_code_s:.1f} s' if row.new_code_s is not None else '—'}"
        lines.append(f"| {row.name} | {row.size_mb:,.0f} | {row.size_mb - row.base_mb:,.0f} | {times} | {ready} | {shares} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Build and measure all of them."""
    if find_engine() != "docker":
        raise OutsideError("the images are measured with Docker", hint="install docker")
    settings = context_of(os.environ).store
    tag = latest_bento(settings)
    if tag is None:
        raise NotFoundError("the BentoML store holds no bento", hint="make demo")
    rows = []
    with tempfile.TemporaryDirectory(prefix="passerelle-images-") as temporary:
        makers: list[tuple[str, Callable[[], Measured]]] = [
            *((name, partial(ours, settings, tag, name, wanted)) for name, wanted in OURS.items()),
            ("BentoML", lambda: documented(settings, tag, Path(temporary))),
            ("MLflow", lambda: mlflow_docker(settings, tag)),
        ]
        for name, make in makers:
            sys.stderr.write(f"  building the image of {name}\n")
            rows.append(make())
    machine = describe_machine("bentoml", "mlflow", "scikit-learn")
    name = f"images-{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}"
    text = f"# Images of {tag}\n\n{', '.join(f'{key} {value}' for key, value in machine.items())}\n\n{table(rows)}"
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
    (RESULTS / f"{name}.json").write_text(json.dumps({"machine": machine, "images": [asdict(row) for row in rows]}, indent=1) + "\n")
    sys.stdout.write(text)
    ask("docker", "image", "rm", *(str(wanted.image_name) for wanted in OURS.values()), *PEERS)


if __name__ == "__main__":
    main()
