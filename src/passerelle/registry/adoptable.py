"""From the address of a model to what is adopted: a version, or the model of a run that has none yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from passerelle.errors import NotFoundError, UsageError, shell_word
from passerelle.registry.logged_models import LoggedModelPlace, by_id, only_model
from passerelle.registry.model_address import ModelAddress, parse_address

if TYPE_CHECKING:
    from passerelle.registry.client import Registry, VersionInfo


@dataclass(frozen=True)
class Adoptable:
    """What is to be adopted.

    Attributes:
        registered_model: Of the version, or that gets a new version.
        version: None for a run's model that is no version of it yet.
        source: Address of the model's files, as a version names it.
        logged_by: The run that logged the model; empty where there is none.
    """

    registered_model: str
    version: VersionInfo | None
    source: str
    logged_by: str

    def __str__(self) -> str:
        return str(self.version.ref) if self.version else f"the model {self.source}"

    @property
    def address(self) -> str:
        """The address that names it again, for a hint."""
        return self.version.ref.uri if self.version else self.source


def find_adoptable(registry: Registry, text: str, registered_model: str | None = None) -> Adoptable:
    """Return what an address names, resolved once: to a version where there is one.

    Args:
        registered_model: That a run's model becomes a version of; by default the one of the settings.

    Raises:
        UsageError: It is no address of a model, or that of several.
        NotFoundError: There is no such version or model.
    """
    address = parse_address(text)
    if address.registered_model:
        if registered_model not in (None, address.registered_model):
            message = f"--model names '{registered_model}', and {text} is a version of '{address.registered_model}'"
            raise UsageError(message, hint=f"passerelle adopt {shell_word(text)}")
        version = _version(registry, address)
        return Adoptable(address.registered_model, version, version.source, version.logged_by)
    name = registered_model or registry.settings.registered_model
    place = _place(registry, address)
    return Adoptable(name, version_of_source(registry, name, place.run_id, place.source), place.source, place.run_id)


def version_of_source(registry: Registry, registered_model: str, run_id: str, source: str) -> VersionInfo | None:
    """Return the version of the registered model that the files at this address are; None where there is none."""
    of_run = registry.versions_of_run(run_id) if run_id else registry.versions(registered_model)
    same = [info for info in of_run if info.ref.registered_model == registered_model and info.source.rstrip("/") == source.rstrip("/")]
    return same[-1] if same else None


def _place(registry: Registry, address: ModelAddress) -> LoggedModelPlace:
    with registry.mlflow(f"the model {address.text}", hint="passerelle adopt models:/NAME/VERSION") as client:
        return by_id(client, address.model_id) if address.model_id else only_model(client, address.run_id, address.path)


def _version(registry: Registry, address: ModelAddress) -> VersionInfo:
    name = address.registered_model
    if address.version is not None:
        return registry.model_version(name, address.version)
    if address.alias:
        number = registry.aliases(name).get(address.alias)
        if number is None:
            raise NotFoundError(
                f"no version of '{name}' holds the alias '{address.alias}'", hint=f"passerelle status --model {shell_word(name)}"
            )
        return registry.model_version(name, number)
    in_stage = (info for info in registry.versions(name) if address.stage in ("latest", info.stage))
    found = next(in_stage, None)
    if found is None:
        message = f"no version of '{name}' is in the stage '{address.stage}'"
        raise NotFoundError(message, hint=f"passerelle status --model {shell_word(name)}")
    return found
