"""The OpenAPI description of a service, without starting it."""

from __future__ import annotations

from pathlib import Path

from passerelle.bentos.store import Store, latest_bento_model
from passerelle.errors import NotFoundError
from passerelle.names import BentoTag
from passerelle.serving.doors.description import described
from passerelle.serving.openapi import Document
from passerelle.serving.runtime import Runtime
from passerelle.settings import ServiceSettings
from passerelle.stages.context import Context, stage


@stage
def run(context: Context, bento_model_tag: str | None = None) -> Document:
    """Return the description of the service over a bento model, as JSON types.

    Args:
        bento_model_tag: `name:version` in the BentoML store; by default the model imported last.

    Raises:
        NotFoundError: The store holds no such model.
    """
    chosen = BentoTag.parse(bento_model_tag) if bento_model_tag else latest_bento_model(context.store)
    model = Store(context.store).model(chosen) if chosen else None
    if model is None:
        raise NotFoundError("the BentoML store holds no such model", hint="passerelle import; bentoml models list")
    runtime = Runtime(Path(model.path), ServiceSettings.read())
    return described(runtime)
