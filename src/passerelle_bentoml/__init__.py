"""Lets plain `bentoml`, typed in a project's folder, find the store that passerelle keeps there.

BentoML loads the entry points `bentoml.commands` whenever its command line starts, before it looks for its store. What it gets is the
command `bentoml passerelle`, which says which store that is.

A package beside passerelle: a bento is served with its own copy of passerelle on PYTHONPATH, which holds less.
"""

from __future__ import annotations

import os
from pathlib import Path

import click

_HOME = "BENTOML_HOME"


def store_of_this_folder() -> Path | None:
    """Return the store that passerelle keeps for this folder; None where it made none, or where BENTOML_HOME names one."""
    if _HOME in os.environ:
        return None
    # Late: what is served has BENTOML_HOME, and its own passerelle.
    from passerelle.errors import SettingsError  # noqa: PLC0415
    from passerelle.settings import StateSettings, StoreSettings  # noqa: PLC0415

    try:
        home = StoreSettings.read().bentoml_home or StateSettings.read().state_dir / "bentoml"
    except SettingsError:  # the service and passerelle refuse it with a message; other commands of bentoml go on
        return None
    return home.resolve() if home.is_dir() else None


def use_store_of_this_folder() -> None:
    """Set BENTOML_HOME to the store of this folder, if there is one, and say so on stderr."""
    home = store_of_this_folder()
    if home is not None:
        os.environ[_HOME] = str(home)
        if "_BENTOML_COMPLETE" not in os.environ:
            click.echo(f"passerelle: the BentoML store is {home}; export {_HOME} to use another", err=True)


def use_model_of_this_folder() -> None:
    """Set the variable of the registered model to the one of this folder's passerelle.toml, unless it is set: service.py reads it."""
    if not Path("passerelle.toml").is_file():
        return
    # Late, as above.
    from passerelle.errors import UsageError  # noqa: PLC0415
    from passerelle.project_file import read_project_file  # noqa: PLC0415

    name = "PASSERELLE_REGISTERED_MODEL"
    try:
        found = read_project_file(Path()).variables.get(name)
    except UsageError:  # passerelle refuses the file with a message; bentoml goes on with the model of service.py
        return
    if found is not None:
        os.environ.setdefault(name, found)


@click.command("passerelle")
def which_store() -> None:
    """Print the folder of the store that bentoml uses here."""
    click.echo(os.environ.get(_HOME, Path.home() / "bentoml"))


def __getattr__(name: str) -> click.Command:
    """Return the command, once the store and the model are set: asking for it is all that BentoML does before its own commands run."""
    if name != "command":
        raise AttributeError(name)
    use_store_of_this_folder()
    use_model_of_this_folder()
    return which_store
