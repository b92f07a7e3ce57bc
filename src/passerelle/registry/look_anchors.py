"""What MLflow knows of the looks: parameters of the run of the version in production, which MLflow lets nobody change or remove."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress

from passerelle.errors import NotFoundError
from passerelle.model.numbered_params import numbered_param
from passerelle.names import LOOK_PARAM, LOOKS, ModelVersionRef
from passerelle.registry.client import Registry
from passerelle.registry.look_objects import Look
from passerelle.registry.run_params import numbered_digests, tell_run

_TAG = re.compile(r"([0-9]{1,6}) (sha256:[0-9a-f]{64})")


def look_param(registered_model: str, number: int | None = None) -> str:
    """Return the name of the parameter that knows a look, or what such names begin with; a run may be of several registered models."""
    return numbered_param(LOOK_PARAM, registered_model, number)


def known_looks(registry: Registry, champion: ModelVersionRef | None) -> Mapping[int, str]:
    """Return the digest of each look that MLflow was told of.

    Args:
        champion: The version in production; None before the first promotion, when nothing is compared.

    Raises:
        OutsideError: MLflow does not answer.
    """
    known: dict[int, str] = {}
    if champion is None:
        return known
    with suppress(NotFoundError):
        # Of looks that were counted before there were parameters, the tag names the last one.
        tag = _TAG.fullmatch(registry.model_version(champion.registered_model, champion.version).tags.get(LOOKS, ""))
        known |= {int(tag[1]): tag[2]} if tag else {}
    return known | numbered_digests(registry, champion.run_id, LOOK_PARAM, champion.registered_model)


def tell_of_look(registry: Registry, champion: ModelVersionRef | None, look: Look) -> None:
    """Tell MLflow of the last look, so that it is noticed where objects are removed.

    A version or run that was deleted since is not told. What somebody else wrote under the look's name stays, and is noticed as a look
    that was changed.

    Raises:
        OutsideError: MLflow does not answer.
    """
    if champion is None:
        return
    with suppress(NotFoundError):
        registry.set_version_tags(champion, {LOOKS: f"{look.number} {look.digest}"})
    tell_run(registry, champion.run_id, look_param(champion.registered_model, look.number), look.digest)
