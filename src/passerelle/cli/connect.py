"""From the environment of the command line, or from the embedded platform that runs, to the context of the stages."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from passerelle.cli.model_choice import GIVEN_SETTINGS

if TYPE_CHECKING:
    from passerelle.settings import StateSettings, StoreSettings
    from passerelle.stages.context import Context

# Settings are imported late: pydantic is not for `--help`.
# ruff: noqa: PLC0415

# Both libraries read these as they are imported.
_QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "BENTOML_DO_NOT_TRACK": "true"}


def surroundings(*, registered_model: str | None = None, experiment: str | None = None) -> Context:
    """Return the context that the environment and the command's options describe; a stage that needs a server says where none is named."""
    from passerelle.stages.context import context_of

    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    command = click.get_current_context(silent=True)
    given = command.meta.get(GIVEN_SETTINGS, {}) if command else {}
    return context_of({**os.environ, **given}, registered_model=registered_model, experiment=experiment)


def nothing_started_here() -> bool:
    """Return whether no service was started in the state folder; False where other variables must be read to know.

    The settings are not imported for that: it would take most of the time of the commands that ask.
    """
    from passerelle.rollout.service_state import FOLDER

    given = {name for name in os.environ if name.upper().startswith("PASSERELLE_")}
    folder = Path(os.environ.get("PASSERELLE_STATE_DIR", ".passerelle"))
    return given <= {"PASSERELLE_STATE_DIR"} and not any((folder / FOLDER).glob("*.json"))


def read_state() -> StateSettings:
    """Return the state folder's settings; refuse variables that no setting knows."""
    from passerelle.known_settings import refuse_unknown
    from passerelle.settings import StateSettings

    refuse_unknown()
    return StateSettings.read()


def bento_store(state: StateSettings) -> StoreSettings:
    """Return the BentoML store of the environment, else the one in the state folder."""
    from passerelle.settings import StoreSettings

    home = StoreSettings.read().bentoml_home or state.state_dir.resolve() / "bentoml"
    return StoreSettings.read(bentoml_home=home)
