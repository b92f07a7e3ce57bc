"""How a version that passerelle knows nothing of comes to what identifies it."""

from __future__ import annotations

from passerelle.errors import NotFoundError
from passerelle.names import CANDIDATE
from passerelle.registry.client import Registry, VersionInfo


def way_to_a_digest(registry: Registry, version: VersionInfo) -> str:
    """Return the next command for a version without a digest: a candidate of a training is registered, every other model is adopted."""
    if version.logged_by:
        try:
            if CANDIDATE in registry.run(version.logged_by).tags:
                return f"passerelle register --run {version.logged_by}"
        except NotFoundError:
            pass
    return f"passerelle adopt models:/{version.ref.registered_model}/{version.ref.version}"
