"""A real `bentoml serve` of a small model, one for each test process; others with settings of their own by `serve`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from passerelle.platform.child import Child
from passerelle.platform.ports import free_ports
from tests.platform_fixtures import OURS

ROOT = Path(__file__).resolve().parents[1]
READY_TIMEOUT_S = 90.0


@dataclass(frozen=True)
class ServedModel:
    """A service that runs: its address, its process and the BentoML store it reads from."""

    address: str
    child: Child
    bentoml_home: Path


def write_store(folder: Path, *, pipeline: Any = None) -> Path:
    """Write a BentoML store that holds the small text model, or another pipeline, as the service expects it, and return it."""
    import bentoml
    from bentoml._internal.models.model import ModelStore

    from tests.unit.serving.models import text_pipeline, text_table, write_bento_model

    (folder / "models").mkdir(parents=True)
    with bentoml.models.create("classification:7-00000000", _model_store=ModelStore(folder / "models")) as model:
        write_bento_model(Path(model.path), text_pipeline() if pipeline is None else pipeline, text_table()[0])
    return folder


@contextmanager
def serve(
    bentoml_home: Path,
    *,
    health: str = "/readyz",
    options: Sequence[str] = (),
    python: str = sys.executable,
    module: str = "service",
    cwd: Path | str = ROOT,
    **settings: str,
) -> Iterator[ServedModel]:
    """Serve the store's model as long as the body runs.

    Args:
        bentoml_home: Made by `write_store`.
        health: Answers 200 once the service counts as started.
        options: Of `bentoml serve`.
        python: Of the environment that it runs in.
        module: That holds the class `Classifier`.
        cwd: The folder that it works in.
        settings: Variables of the service, without their prefix: `max_text_characters="100"`.
    """
    address = f"http://127.0.0.1:{(port := free_ports(1)[0])}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith((*OURS, "OTEL_"))} | {
        "BENTOML_HOME": str(bentoml_home),
        "BENTOML_DO_NOT_TRACK": "true",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), *([str(ROOT)] if Path(cwd) != ROOT else []))),
        "PASSERELLE_KEYS_FILE": str(bentoml_home / "keys.json"),
        **{f"PASSERELLE_{name.upper()}": value for name, value in settings.items()},
    }
    command = [python, "-m", "bentoml", "serve", f"{module}:Classifier", "--host", "127.0.0.1", "--port", str(port), *options]
    log = bentoml_home / f"service-{port}.log"
    child = Child("the service under test", command, environment, log, f"{address}{health}", cwd=Path(cwd))
    child.start()
    try:
        child.wait_until_healthy(READY_TIMEOUT_S)
        yield ServedModel(address, child, bentoml_home)
    finally:
        child.stop()


@pytest.fixture(scope="session")
def bentoml_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BentoML store with the small text model."""
    return write_store(tmp_path_factory.mktemp("served") / "bentoml")


@pytest.fixture(scope="session")
def served(bentoml_home: Path) -> Iterator[ServedModel]:
    """The service with default settings."""
    with serve(bentoml_home) as running:
        yield running
