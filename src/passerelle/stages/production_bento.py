"""The bento of what is in production: imported and built where the store lacks it; nothing is trained, registered or promoted here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from passerelle.bentos.build import build
from passerelle.bentos.store import Store
from passerelle.model.golden import Golden, read_golden
from passerelle.names import GOLDEN, BentoTag
from passerelle.registry.client import Registry
from passerelle.settings import StoreSettings
from passerelle.stages.context import Context, project_folder
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


def golden_of(store: StoreSettings, bento_tag: BentoTag) -> Golden:
    """Return the golden predictions of a bento's model.

    Raises:
        NotFoundError: The model is gone from the store.
    """
    return read_golden(Path(Store(store).model_of(bento_tag).path) / GOLDEN)
