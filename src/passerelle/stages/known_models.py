"""The registered models that are known in a project: of its passerelle.toml, of the BentoML store, and those that are served here."""

from __future__ import annotations

import difflib
from importlib.util import find_spec
from pathlib import Path

from passerelle.errors import NotFoundError, shell_word
from passerelle.project_file import read_project_file
from passerelle.registry.ledger import folder_of
from passerelle.rollout.service_state import running_services
from passerelle.stages.context import Context


def check_known(context: Context, project: Path = Path()) -> None:
    """Check that MLflow, its S3, the project, the store or a service here knows the context's registered model.

    Raises:
        NotFoundError: None does: its name was typed wrongly.
        OutsideError: MLflow or S3 does not answer.
    """
    name, registry = context.registered_model, context.registry
    if registry.newest_version(name) is not None or registry.objects.keys(folder_of(name), most=1):
        return
    known = tuple({read_project_file(project).models[0].name: None} | _beside_the_settings(context, project))
    if name in known:
        return
    close = difflib.get_close_matches(name, known, n=1)
    there = f"did you mean '{close[0]}'?" if close else f"here is {', '.join(known)}"
    hint = f"passerelle status --model {shell_word((*close, *known)[0])}"
    raise NotFoundError(f"nothing here knows a registered model '{name}': {there}", hint=hint)


def known_models(context: Context, project: Path = Path()) -> dict[str, Context]:
    """Return the context of each registered model that is known here by the model's name, that of the settings first."""
    names = {context.registered_model: context.experiment}
    for name, experiment in _beside_the_settings(context, project).items():
        names.setdefault(name, experiment or context.experiment)
    return {name: context.naming(registered_model=name, experiment=experiment) for name, experiment in names.items()}


def _beside_the_settings(context: Context, project: Path) -> dict[str, str | None]:
    """Return the experiment of each further one by its name; None where only the settings say it."""
    names: dict[str, str | None] = {model.name: model.experiment for model in read_project_file(project).further_models}
    for name in (*_in_store(context), *running_services(context.state.state_dir)):
        names.setdefault(name, None)
    return names


def _in_store(context: Context) -> tuple[str, ...]:
    if find_spec("bentoml") is None:  # as in the image of the stack's prober
        return ()
    from passerelle.bentos.store import models_in_store  # noqa: PLC0415 - imports BentoML

    return models_in_store(context.store)
