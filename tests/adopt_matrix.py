"""`python -m tests.adopt_matrix` adopts a model of each way to log and prints the table of docs/adopt.md; CI tests some of the rows."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest

from passerelle.environments.lock import Locked
from passerelle.errors import PasserelleError
from passerelle.platform.embedded import EmbeddedPlatform
from passerelle.registry.client import Registry
from passerelle.settings import MlflowSettings
from passerelle.stages import adopt as stage
from passerelle.stages.adopt import AdoptionRequest, adopt
from passerelle.stages.adopt_options import AdoptOptions
from tests.logged_models import ROWS, Row, files_for


def outcomes(folder: Path) -> Iterator[str]:
    """Yield a line of the table for each row."""
    with EmbeddedPlatform(folder / "platform") as platform, pytest.MonkeyPatch.context() as patch:
        environment = {**platform.running.environment, "PASSERELLE_ADOPTED_PICKLES": "any", "PASSERELLE_MODEL_PYTHON": sys.executable}
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(stage, "lock_for", lambda *_, **__: Locked("# nothing\n", "3.11", {"scikit-learn": "1"}))
        mlflow.set_tracking_uri(platform.running.tracking_uri)
        mlflow.set_experiment("notebooks")
        registry = Registry(MlflowSettings.read(tracking_uri=platform.running.tracking_uri, registered_model="matrix"), platform.running.s3)
        for number, (name, row) in enumerate(ROWS.items()):
            place = folder / str(number)
            place.mkdir()
            options = AdoptOptions(**files_for(row.options, place))
            yield f"| {name} | {_options(row)} | {_outcome(registry, row, options)} |"


def _options(row: Row) -> str:
    return ", ".join(f"`--{name.removesuffix('s') if name == 'drop_columns' else name}`".replace("_", "-") for name in row.options) or "—"


def _outcome(registry: Registry, row: Row, options: AdoptOptions) -> str:
    with mlflow.start_run() as run:
        row.log()
    try:
        record = adopt(registry, AdoptionRequest(f"runs:/{run.info.run_id}", options)).adoption
    except PasserelleError as error:
        return f"refused: {error.message}"
    form = "" if record.input_form == "table" else f", as a {record.input_form}"
    return f"{record.task}{form}; golden inputs from {record.golden_origin}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        for line in ("| logged | options | outcome |", "|---|---|---|", *outcomes(Path(temporary))):
            sys.stdout.write(f"{line}\n")
