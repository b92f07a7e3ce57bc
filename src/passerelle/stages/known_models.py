"""The registered models that are known in a project: of its passerelle.toml, of the BentoML store, and those that are served here."""

from __future__ import annotations

from pathlib import Path

from passerelle.bentos.store import models_in_store
from passerelle.project_file import read_project_file
from passerelle.rollout.service_state import running_services
from passerelle.stages.context import Context


def known_models(context: Context, project: Path = Path()) -> dict[str, Context]:
    """Return the context of each registered model that is known here by the model's name, that of the settings first."""
    file = read_project_file(project)
    names = {context.registered_model: context.experiment}
    names |= {model.name: model.experiment for model in file.further_models if model.name not in names}
    for name in (*models_in_store(context.store), *running_services(context.state.state_dir)):
        names.setdefault(name, context.experiment)
    return {name: context.naming(registered_model=name, experiment=experiment) for name, experiment in names.items()}
