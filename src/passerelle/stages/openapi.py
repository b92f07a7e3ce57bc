"""The OpenAPI description of a service, without starting it."""

from __future__ import annotations

from pathlib import Path

from passerelle.bentos.store import Store
from passerelle.errors import NotFoundError
from passerelle.serving.doors.description import described
from passerelle.serving.openapi import Document
from passerelle.serving.runtime import Runtime
from passerelle.settings import ServiceSettings
from passerelle.stages.build import chosen_bento_model
from passerelle.stages.context import Context, stage


@stage
def run(context: Context, bento_model_tag: str | None = None, *, registered_model: str | None = None) -> Document:
    """Return the description of the service over a bento model, as JSON types.

    Args:
        bento_model_tag: `name:version` in the BentoML store; by default the version imported last.
        registered_model: Whose version that is; by default the only one in the store.

    Raises:
        NotFoundError: The store holds no such model.
        SeveralModelsError: The store holds several registered models, and none was named.
    """
    model = Store(context.store).model(chosen_bento_model(context.store, bento_model_tag, registered_model))
    if model is None:
        raise NotFoundError("the BentoML store holds no such model", hint="passerelle import; bentoml models list")
    runtime = Runtime(Path(model.path), ServiceSettings.read())
    return described(runtime)
