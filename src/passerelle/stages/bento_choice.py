"""The bento that is served where none is named: that of the version in production, as whoever promoted or rolled back last left it."""

from __future__ import annotations

from passerelle.bentos.store import Store
from passerelle.errors import NotFoundError, OutsideError
from passerelle.names import REGISTERED_MODEL_LABEL, BentoTag, ModelVersionRef
from passerelle.stages.build import chosen_bento
from passerelle.stages.context import Context, Progress, silent


def bento_to_serve(
    context: Context, bento_tag: str | None, registered_model: str | None = None, *, progress: Progress = silent
) -> BentoTag:
    """Return the bento that was named, or that of the version in production of the registered model whose bento was built last.

    Where nothing is in production, or no registry is named and the embedded platform is off, it is the one built last.

    Args:
        registered_model: Whose bento is meant; by default the only one in the store.
        progress: Gets a line where the bento built last is another one.

    Raises:
        SeveralModelsError: The store holds bentos of several registered models, and none was named.
        NotFoundError: The store holds no bento, or none of the version in production.
        OutsideError: A registry is named and does not answer.
    """
    latest = chosen_bento(context.store, bento_tag, registered_model)
    there = None if bento_tag is not None else _in_production(context, latest)
    if there is None or there.bento_model_tag == latest:
        return latest
    found = f"{there} is in production, and the bento built last is {latest}"
    if Store(context.store).bento(there.bento_model_tag) is None:
        raise NotFoundError(f"{found}: name it to serve it all the same", hint="passerelle import; passerelle build")
    progress(f"{found}: {there.bento_model_tag} is served")
    return there.bento_model_tag


def _in_production(context: Context, latest: BentoTag) -> ModelVersionRef | None:
    """Return the version in production of the model in a bento; None where nothing is, or nobody can be asked."""
    model = Store(context.store).model(latest)
    name = model.info.labels.get(REGISTERED_MODEL_LABEL) if model is not None else None
    if name is None or context.server is None:
        return None
    try:
        registry = context.registry
        version = registry.aliases(name).get(registry.settings.alias)
        return registry.model_version(name, version).ref if version is not None else None
    except OutsideError as error:
        message = f"{error.message}; so nobody knows what is in production: name the bento to serve it all the same"
        raise OutsideError(message, hint=error.hint) from error
