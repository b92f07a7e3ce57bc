"""Build a bento that pins exactly one bento model."""

from __future__ import annotations

from pathlib import Path

from passerelle.bentos.build import BuiltBento, build
from passerelle.bentos.store import latest_bento, latest_bento_model
from passerelle.errors import NotFoundError
from passerelle.names import BentoTag
from passerelle.settings import StoreSettings
from passerelle.stages.context import Context, project_folder, stage


@stage
def run(context: Context, bento_model_tag: str | None = None, *, project: Path = Path(), dry_run: bool = False) -> BuiltBento:
    """Write a bento of the model and of the project's code to the store, unless it is there.

    Args:
        bento_model_tag: `name:version` in the BentoML store; by default the model imported last.
        project: Root of the project, with bentofile.yaml and service.py.

    Raises:
        NotFoundError: The store holds no such bento model, or none at all.
        UsageError: The folder is no project, or lacks a file.
        IntegrityError: A file of the model is not the one that was registered, or its signature is missing or not good.
        OutsideError: BentoML refuses to build; holds what it said.
    """
    chosen = chosen_bento_model(context.store, bento_model_tag)
    return build(
        context.store,
        bento_model_tag=chosen,
        project=project_folder(project),
        signing=context.signing,
        environment=context.environment,
        dry_run=dry_run,
    )


def chosen_bento_model(store: StoreSettings, bento_model_tag: str | None) -> BentoTag:
    """Return the bento model that was named, or the one imported last.

    Raises:
        NotFoundError: The store holds no bento model of ours.
    """
    chosen = BentoTag.parse(bento_model_tag) if bento_model_tag else latest_bento_model(store)
    if chosen is None:
        raise NotFoundError("the BentoML store holds no model", hint="passerelle import")
    return chosen


def chosen_bento(store: StoreSettings, bento_tag: str | None) -> BentoTag:
    """Return the bento that was named, or the one built last.

    Raises:
        NotFoundError: The store holds no bento of ours.
    """
    chosen = BentoTag.parse(bento_tag) if bento_tag is not None else latest_bento(store)
    if chosen is None:
        raise NotFoundError("the BentoML store holds no bento", hint="passerelle build")
    return chosen
