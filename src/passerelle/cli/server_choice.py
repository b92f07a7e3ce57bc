"""The servers that a command was given, in what an error or a result names next."""

from __future__ import annotations

import os
from pathlib import Path

from passerelle.stages.stack_hints import for_stack


def about_named_servers(commands: str) -> str:
    """Return what an error names next, for the stack of this folder where its MLflow is named, or none."""
    return for_stack(commands, Path(), os.environ.get("MLFLOW_TRACKING_URI"))


def after_success(commands: str) -> str:
    """Return what a result names next, for the stack of this folder where its MLflow is named; without a name it is the embedded one."""
    return about_named_servers(commands) if "MLFLOW_TRACKING_URI" in os.environ else commands
