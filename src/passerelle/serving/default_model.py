"""The bento model that plain `bentoml` serves and builds where none is named."""

from __future__ import annotations

import os

from passerelle.names import bento_name
from passerelle.settings import MlflowSettings, variable_of


def model_of_environment(default: str) -> str:
    """Return the tag of the registered model that the environment names, or else the default.

    Plain `bentoml` in a project's folder gets the model of its passerelle.toml in this variable.
    """
    name = os.environ.get(variable_of(MlflowSettings, "registered_model"))
    return f"{bento_name(name)}:latest" if name else default
