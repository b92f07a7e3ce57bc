"""How a version that passerelle knows nothing of comes to what identifies it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from passerelle.errors import NotFoundError, UsageError
from passerelle.names import CANDIDATE
from passerelle.registry.client import Registry, VersionInfo


def way_to_a_digest(registry: Registry, version: VersionInfo) -> str:
    """Return the next command for a version without a digest: a candidate of a training is registered, every other model is adopted."""
    with suppress(NotFoundError):
        if version.logged_by and CANDIDATE in registry.run(version.logged_by).tags:
            return f"passerelle register --run {version.logged_by}"
    return f"passerelle adopt models:/{version.ref.registered_model}/{version.ref.version}"


@contextmanager
def leads_to_adoption(run_id: str) -> Iterator[None]:
    """Let what registration cannot take, such as a regression or a run without golden predictions, be adopted, where no hint says more."""
    try:
        yield
    except UsageError as error:
        if error.hint is None:
            error.hint = f"passerelle adopt runs:/{run_id}"
        raise
