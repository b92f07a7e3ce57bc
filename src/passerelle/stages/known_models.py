"""The registered models that are known in a project: of its passerelle.toml, of the BentoML store, and those that are served here."""

from __future__ import annotations

import shlex
from pathlib import Path

from passerelle.bentos.store import models_in_store
from passerelle.project_file import read_project_file
from passerelle.rollout.service_state import running_services
from passerelle.stages.context import Context

#: The commands of the hints about a disagreement that take `--model`.
_TAKE_MODEL = {
    "train", "compare", "register", "promote", "import", "build", "containerize", "deploy", "history", "rollback", "rollout", "status",
}  # fmt: skip


def known_models(context: Context, project: Path = Path()) -> dict[str, Context]:
    """Return the context of each registered model that is known here by the model's name, that of the settings first."""
    file = read_project_file(project)
    names = {context.registered_model: context.experiment}
    names |= {model.name: model.experiment for model in file.further_models if model.name not in names}
    for name in (*models_in_store(context.store), *running_services(context.state.state_dir)):
        names.setdefault(name, context.experiment)
    return {name: context.naming(registered_model=name, experiment=experiment) for name, experiment in names.items()}


def about_model(commands: str, registered_model: str) -> str:
    """Return commands, as a hint holds them, with `--model` where they take it and name none."""
    return "\n".join("; ".join(_about(command, registered_model) for command in line.split("; ")) for line in commands.split("\n"))


def _about(command: str, registered_model: str) -> str:
    words = command.split(" ")
    if words[0] == "passerelle" and words[1:2] and words[1] in _TAKE_MODEL and "--model" not in words:
        return f"{command} --model {shlex.quote(registered_model)}"
    return command
