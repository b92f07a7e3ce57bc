"""The bento of what is in production: imported and built where the store lacks it; nothing is trained, registered or promoted here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from passerelle.bentos.build import build
from passerelle.bentos.store import Store, bentos_of, latest_bento
from passerelle.errors import OutsideError
from passerelle.model.golden import Golden, read_golden
from passerelle.names import GOLDEN, BentoTag
from passerelle.registry.client import Registry
from passerelle.settings import StoreSettings
from passerelle.stages.context import Context, Progress, project_folder
from passerelle.stages.events import Steps
from passerelle.stages.import_model import import_model


@dataclass(frozen=True)
class NothingInProduction:
    """There is nothing to serve: no version holds the alias.

    Attributes:
        next_commands: What to type, each with what it does.
    """

    registered_model: str
    alias: str
    next_commands: tuple[tuple[str, str], ...]


def nothing_in_production(registry: Registry, *next_commands: tuple[str, str]) -> NothingInProduction | None:
    """Return that there is nothing to serve; None where a version holds the alias."""
    name, alias = registry.settings.registered_model, registry.settings.alias
    return None if alias in registry.aliases(name) else NothingInProduction(name, alias, next_commands)


def bento_in_production(context: Context, project: Path, steps: Steps) -> BentoTag:
    """Return the bento of the version in production.

    Raises:
        As `import_model` and `build`.
    """
    folder = project_folder(project)
    imported = steps.step("import", lambda: import_model(context.registry, context.store, signing=context.signing))
    built = steps.step(
        "build",
        lambda: build(
            context.store,
            bento_model_tag=imported.bento_model_tag,
            project=folder,
            signing=context.signing,
            environment=context.environment,
        ),
    )
    return built.bento_tag


def build_production(
    context: Context, project: Path, registered_model: str | None = None, *, dry_run: bool, progress: Progress
) -> BentoTag | None:
    """Import and build the version in production where the store lacks its bento, and return its tag; None where there is nothing to do.

    Nothing is done where no registry is named, nothing is in production, or no model is named and the store holds bentos of another one:
    which of them is meant is for others to say.

    Raises:
        OutsideError: The registry does not answer, and the store holds no bento that could be served instead.
        As `import_model` and `build`.
    """
    if context.server is None:
        return None
    store = Store(context.store)
    try:
        registry = context.registry
        name = registry.settings.registered_model
        version = registry.aliases(name).get(registry.settings.alias)
        tag = None if version is None else registry.model_version(name, version).ref.bento_model_tag
    except OutsideError:
        if latest_bento(context.store) is None:
            raise
        return None
    if tag is None or store.bento(tag) is not None:
        return None
    if registered_model is None and any(each.name != tag.name for each in bentos_of(context.store)):
        return None
    if dry_run:
        progress(f"would import {tag} from the registry, and build its bento")
        return tag
    progress(f"{tag} is in production, and the store lacks its bento: import and build")
    return bento_in_production(context, project, Steps())


def golden_of(store: StoreSettings, bento_tag: BentoTag) -> Golden:
    """Return the golden predictions of a bento's model.

    Raises:
        NotFoundError: The model is gone from the store.
    """
    return read_golden(Path(Store(store).model_of(bento_tag).path) / GOLDEN)
