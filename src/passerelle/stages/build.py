"""Build a bento that pins exactly one bento model."""

from __future__ import annotations

from pathlib import Path

from passerelle.bentos.build import BuiltBento, build
from passerelle.bentos.store import latest_bento, latest_bento_model, models_in_store
from passerelle.errors import NotFoundError, SeveralModelsError, UsageError, shell_word
from passerelle.names import BentoTag, bento_name
from passerelle.settings import StoreSettings
from passerelle.stages.context import Context, project_folder, stage
from passerelle.stages.promotion_check import check_promoted_here


@stage
def run(
    context: Context,
    bento_model_tag: str | None = None,
    *,
    registered_model: str | None = None,
    project: Path = Path(),
    dry_run: bool = False,
) -> BuiltBento:
    """Write a bento of the model and of the project's code to the store, unless it is there.

    Args:
        bento_model_tag: `name:version` in the BentoML store; by default the version imported last.
        registered_model: Whose version that is; by default the only one in the store.
        project: Root of the project, with bentofile.yaml and service.py.

    Raises:
        NotFoundError: The store holds no such bento model, or none at all.
        SeveralModelsError: The store holds several registered models, and none was named.
        UsageError: The folder is no project, or lacks a file.
        RefusedError: This is production, and no promotion put the version there.
        IntegrityError: A file of the model is not the one that was registered, or its signature is missing or not good.
        OutsideError: BentoML refuses to build; holds what it said.
    """
    chosen = chosen_bento_model(context.store, bento_model_tag, registered_model)
    check_promoted_here(context, chosen)
    return build(
        context.store,
        bento_model_tag=chosen,
        project=project_folder(project),
        signing=context.signing,
        environment=context.environment,
        dry_run=dry_run,
    )


def chosen_bento_model(store: StoreSettings, bento_model_tag: str | None, registered_model: str | None = None) -> BentoTag:
    """Return the bento model that was named, or the one imported last of the registered model.

    Raises:
        UsageError: The tag is of another registered model.
        NotFoundError: The store holds no bento model of it.
        SeveralModelsError: The store holds several registered models, and none was named.
    """
    if bento_model_tag is not None:
        return _of_model(BentoTag.parse(bento_model_tag), registered_model)
    found = models_in_store(store)
    if registered_model is None and len(found) > 1:
        raise SeveralModelsError("the BentoML store holds several models", found)
    chosen = latest_bento_model(store, registered_model)
    if chosen is None and registered_model is not None:
        message = f"the BentoML store holds no model of {registered_model}"
        raise NotFoundError(message, hint=f"passerelle import --model {shell_word(registered_model)}")
    if chosen is None:
        raise NotFoundError("the BentoML store holds no model", hint="passerelle import")
    return chosen


def chosen_bento(store: StoreSettings, bento_tag: str | None, registered_model: str | None = None) -> BentoTag:
    """Return the bento that was named, or the one built last of the registered model.

    Raises:
        UsageError: The tag is of another registered model.
        NotFoundError: The store holds no bento of it.
        SeveralModelsError: The store holds bentos of several registered models, and none was named.
    """
    if bento_tag is not None:
        return _of_model(BentoTag.parse(bento_tag), registered_model)
    found = models_in_store(store, "bentos")
    if registered_model is None and len(found) > 1:
        raise SeveralModelsError("the BentoML store holds bentos of several models", found)
    chosen = latest_bento(store, registered_model)
    if chosen is None and registered_model is not None:
        message = f"the BentoML store holds no bento of {registered_model}"
        raise NotFoundError(message, hint=f"passerelle build --model {shell_word(registered_model)}")
    if chosen is None:
        raise NotFoundError("the BentoML store holds no bento", hint="passerelle build")
    return chosen


def _of_model(tag: BentoTag, registered_model: str | None) -> BentoTag:
    """Return the tag; raises UsageError where it is of another registered model than the one that was named."""
    if registered_model is not None and tag.name != bento_name(registered_model):
        raise UsageError(f"the tag {tag} is of another model than --model {registered_model}", hint="bentoml models list; bentoml list")
    return tag
