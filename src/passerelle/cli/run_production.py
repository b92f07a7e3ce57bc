"""Serve what is in production: imported and built where the store lacks it; nothing is trained, registered or promoted here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from passerelle.bentos.build import build
from passerelle.bentos.store import Store
from passerelle.cli import show
from passerelle.cli.connect import Surroundings, project_folder
from passerelle.cli.output import Output
from passerelle.errors import NotFoundError
from passerelle.model.golden import Golden, read_golden
from passerelle.names import GOLDEN, BentoTag
from passerelle.registry.client import Registry
from passerelle.settings import StoreSettings
from passerelle.stages.import_model import import_model

#: Runs a stage by its name and shows what it gave.
Step = Callable[[str, Callable[[], Any], Callable[[Output, Any], None]], Any]


def is_in_production(registry: Registry) -> bool:
    """Return whether a version holds the alias."""
    return registry.settings.alias in registry.aliases(registry.settings.registered_model)


def bento_in_production(here: Surroundings, registry: Registry, project: Path, step: Step) -> BentoTag:
    """Return the bento of the version in production.

    Raises:
        As `import_model` and `build`.
    """
    folder = project_folder(project)
    imported = step("import", lambda: import_model(registry, here.store, signing=here.signing), show.imported)
    tag: BentoTag = imported.bento_model_tag
    built = step("build", lambda: build(here.store, bento_model_tag=tag, project=folder, signing=here.signing), show.built)
    return BentoTag(built.bento_tag.name, built.bento_tag.version)


def unshown(_: str, call: Callable[[], Any], __: Callable[[Output, Any], None]) -> Any:
    """Run a stage, and show nothing of it."""
    return call()


def shown_by(output: Output) -> Step:
    """Return a step that shows what a stage gave."""

    def step(_: str, call: Callable[[], Any], show_it: Callable[[Output, Any], None]) -> Any:
        result = call()
        show_it(output, result)
        return result

    return step


def golden_of(store: StoreSettings, bento_tag: BentoTag) -> Golden:
    """Return the golden predictions of a bento's model.

    Raises:
        NotFoundError: The model is gone from the store.
    """
    model = Store(store).model(bento_tag)
    if model is None:
        raise NotFoundError(
            f"the model of the bento {bento_tag} is gone from the BentoML store", hint="passerelle import; passerelle build"
        )
    return read_golden(Path(model.path) / GOLDEN)


def say_nothing_is_in_production(output: Output, registry: Registry, *commands: tuple[str, str]) -> None:
    """Print that there is nothing to serve, and what to type.

    Args:
        commands: Each with what it does.
    """
    name, alias = registry.settings.registered_model, registry.settings.alias
    output.line(f"No service: nothing is in production, as no version of {name} holds the alias {alias}. Next:")
    for command, does in commands:
        output.line(f"  {command}")
        output.line(f"      {does}")
