"""From the environment, or from the embedded platform that runs, to what the stages take."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from passerelle.errors import OutsideError
from passerelle.settings import MlflowSettings, S3Settings, SigningSettings, StateSettings, StoreSettings, refuse_unknown

if TYPE_CHECKING:
    from passerelle.cli.output import Output
    from passerelle.registry.client import Registry

# MLflow's own retries take minutes, and its progress bars and telemetry are not for a command line.
_MLFLOW = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
#: Read before the variables that a platform gives.
_POINTS_ELSEWHERE = (
    "PASSERELLE_TRACKING_URI",
    "PASSERELLE_S3_ENDPOINT_URL",
    "PASSERELLE_S3_ACCESS_KEY_ID",
    "PASSERELLE_S3_SECRET_ACCESS_KEY",
    "PASSERELLE_S3_REGION",
)
START = "passerelle up, in another terminal; or set MLFLOW_TRACKING_URI (and the S3 variables) to a server of yours"


@dataclass(frozen=True)
class Surroundings:
    """The settings of one command."""

    state: StateSettings
    mlflow: MlflowSettings
    s3: S3Settings
    store: StoreSettings
    signing: SigningSettings


def read_state() -> StateSettings:
    """Return the state folder's settings; refuse variables that no setting knows."""
    refuse_unknown()
    return StateSettings.read()


def bento_store(state: StateSettings) -> StoreSettings:
    """Return the BentoML store of the environment, else the one in the state folder, and make plain BentoML use it too."""
    home = StoreSettings.read().bentoml_home or state.state_dir.resolve() / "bentoml"
    home.mkdir(parents=True, exist_ok=True)
    os.environ["BENTOML_HOME"] = str(home)
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "true")
    return StoreSettings.read(bentoml_home=home)


def embedded_environment(output: Output) -> Mapping[str, str]:
    """Return the variables of the embedded platform; while it is off, those that do not depend on it, with a note of what is missing."""
    from passerelle.platform.state import own_environment, running  # noqa: PLC0415

    state = read_state()
    platform = running(state.state_dir)
    if platform is not None:
        return platform.environment
    output.note(f"the embedded platform in {state.state_dir} is off: no MLFLOW_TRACKING_URI and no variables of the S3")
    output.note("to start it: passerelle up, in another terminal")
    return own_environment(state.state_dir)


def reach(environment: Mapping[str, str]) -> None:
    """Let what follows use the platform of this environment, whatever this process was pointed at before."""
    for name in _POINTS_ELSEWHERE:
        os.environ.pop(name, None)
    os.environ.update(environment)


def surroundings(*, registered_model: str | None = None, experiment: str | None = None) -> Surroundings:
    """Return the settings, taken from the environment or else from the embedded platform that runs.

    Raises:
        OutsideError: Neither names an MLflow server.
    """
    from passerelle.platform.state import running  # noqa: PLC0415

    state = read_state()
    platform = running(state.state_dir)
    if "MLFLOW_TRACKING_URI" not in os.environ and "PASSERELLE_TRACKING_URI" not in os.environ:
        if platform is None:
            raise OutsideError("no MLflow server is named, and the embedded platform does not run", hint=START)
        os.environ.update(platform.environment)
    s3 = S3Settings.read()
    mlflow = MlflowSettings.read(registered_model=registered_model, experiment=experiment)
    _prepare_mlflow(mlflow, s3)
    return Surroundings(state=state, mlflow=mlflow, s3=s3, store=bento_store(state), signing=SigningSettings.read())


def _prepare_mlflow(settings: MlflowSettings, s3: S3Settings) -> None:
    """Give MLflow's own code what it reads from the environment: the S3, short retries, and silence."""
    from passerelle.platform.mlflow_server import s3_environment  # noqa: PLC0415

    os.environ.update(s3_environment(s3))
    os.environ["MLFLOW_TRACKING_URI"] = settings.tracking_uri
    for name, value in _MLFLOW.items():
        os.environ.setdefault(name, value)
    logging.getLogger("mlflow").setLevel(logging.ERROR)


def open_registry(here: Surroundings) -> Registry:
    """Return a registry that answers.

    Raises:
        OutsideError: MLflow or S3 does not answer, or refuses the keys.
    """
    from passerelle.registry.client import Registry  # noqa: PLC0415

    registry = Registry(here.mlflow, here.s3)
    registry.check()
    return registry


def project_folder(project: Path) -> Path:
    """Return the folder that holds bentofile.yaml.

    Raises:
        UsageError: It does not hold one.
    """
    from passerelle.errors import UsageError  # noqa: PLC0415

    if not (project / "bentofile.yaml").is_file():
        raise UsageError(f"{project.resolve()} holds no bentofile.yaml", hint="cd to the root of the project, or give it with --project")
    return project.resolve()
