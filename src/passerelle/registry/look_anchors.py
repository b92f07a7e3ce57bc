"""What MLflow knows of the looks: parameters of the run of the version in production, which MLflow lets nobody change or remove."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress

from passerelle.errors import NotFoundError
from passerelle.names import LOOK_PARAM, LOOKS, ModelVersionRef
from passerelle.registry.client import Registry
from passerelle.registry.look_objects import Look

_TAG = re.compile(r"([0-9]{1,6}) (sha256:[0-9a-f]{64})")


def look_param(registered_model: str, number: int | None = None) -> str:
    """Return the name of the parameter that knows a look, or what such names begin with; a run may be of several registered models."""
    whose = hashlib.sha256(registered_model.encode()).hexdigest()[:8]
    return f"{LOOK_PARAM}{whose}." + ("" if number is None else f"{number:06d}")


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
    with suppress(NotFoundError):
        pattern = re.compile(re.escape(look_param(champion.registered_model)) + r"([0-9]{6})")
        named = ((pattern.fullmatch(name), digest) for name, digest in registry.run(champion.run_id).params.items())
        known |= {int(match[1]): digest for match, digest in named if match}
    return known


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
    name = look_param(champion.registered_model, look.number)
    with suppress(NotFoundError), registry.mlflow(f"the run {champion.run_id}") as client:
        run = client.get_run(champion.run_id)
        if run.info.lifecycle_stage == "active" and name not in run.data.params:
            client.log_param(champion.run_id, name, look.digest)
