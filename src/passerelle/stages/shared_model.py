"""Which project registers a version, and which others register versions of the same registered model."""

from __future__ import annotations

from pathlib import Path

from passerelle.names import PROJECT
from passerelle.project.manifest import project_id
from passerelle.project_file import read_project_file
from passerelle.registry.client import Registry
from passerelle.registry.projects import other_projects
from passerelle.stages.context import Progress


def tags_of_project(root: Path) -> dict[str, str]:
    """Return the tag that a version gets from the project that registers it."""
    return {PROJECT: project_id(root, read_project_file(root).name)}


def name_other_projects(registry: Registry, root: Path, progress: Progress) -> None:
    """Say which other projects registered versions of the same registered model, which is allowed."""
    others = other_projects(registry, tags_of_project(root)[PROJECT])
    if others:
        name = registry.settings.registered_model
        progress(f"note: the registered model {name} has versions of other projects too: {', '.join(others)}")
        progress("a registered model of this project's own: set registered_model and experiment in passerelle.toml")
