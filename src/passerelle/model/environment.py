"""Where the environment of an adopted model lies: one a set of locked requirements, made by `passerelle adopt` and `passerelle import`."""

from __future__ import annotations

from pathlib import Path

from passerelle.errors import NotFoundError
from passerelle.model.adoption import LOCK_FILE
from passerelle.model.manifest import digest_of_file
from passerelle.settings import LoadingSettings

_DIGITS = 16


def environment_folder(lock: Path, settings: LoadingSettings) -> Path:
    """Return the folder of the environment that a file of locked requirements describes, whether it was made or not."""
    return settings.environments_dir.expanduser() / digest_of_file(lock).removeprefix("sha256:")[:_DIGITS]


def interpreter(beside: Path, settings: LoadingSettings | None = None) -> Path:
    """Return the interpreter of an adopted model's own environment.

    Args:
        beside: The folder that holds the model's directory, the record of its adoption and its locked requirements.
        settings: By default what the environment says.

    Raises:
        NotFoundError: The environment was not made on this machine.
    """
    settings = settings or LoadingSettings.read()
    if settings.model_python is not None:
        return settings.model_python
    python = environment_folder(beside / LOCK_FILE, settings) / "bin" / "python"
    if not python.exists():
        raise NotFoundError(f"the environment of the adopted model, {python.parent.parent}, is not there", hint="passerelle import")
    return python
