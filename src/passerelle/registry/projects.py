"""Which projects register versions of one registered model."""

from __future__ import annotations

from passerelle.names import PROJECT
from passerelle.registry.client import Registry


def other_projects(registry: Registry, own: str) -> tuple[str, ...]:
    """Return the other projects that registered versions of the registered model; one model may have several.

    Args:
        own: The project that asks, as `passerelle.project.manifest.project_id` names it.
    """
    versions = registry.versions(registry.settings.registered_model)
    return tuple(sorted({version.tags[PROJECT] for version in versions if PROJECT in version.tags} - {own}))
