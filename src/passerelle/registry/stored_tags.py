"""The tags of a version in MLflow, where most of them are parts of one record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from passerelle.model.version_tags import has_own_tag, packed, without
from passerelle.names import ModelVersionRef


class _Tagged(Protocol):
    @property
    def tags(self) -> dict[str, str]: ...


class TagClient(Protocol):
    """What is called of MLflow's client."""

    def get_model_version(self, name: str, version: str) -> _Tagged:
        """Return a version with its tags."""

    def set_model_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        """Set a tag."""

    def delete_model_version_tag(self, name: str, version: str, key: str) -> None:
        """Delete a tag."""


def set_tags(client: TagClient, ref: ModelVersionRef, tags: Mapping[str, str]) -> None:
    """Set the tags, those of the record last and at once.

    Args:
        client: MLflow's, in the environment of the server.
    """
    model, version = ref.registered_model, str(ref.version)
    stored = {} if all(map(has_own_tag, tags)) else client.get_model_version(model, version).tags
    for name, value in packed(tags, stored).items():
        client.set_model_version_tag(model, version, name, value)


def delete_tag(client: TagClient, ref: ModelVersionRef, name: str) -> None:
    """Delete a tag, which may be part of the record.

    Args:
        client: As of `set_tags`.
    """
    model, version = ref.registered_model, str(ref.version)
    stored = client.get_model_version(model, version).tags
    for tag, value in without(name, stored).items():
        client.set_model_version_tag(model, version, tag, value)
    if name in stored:
        client.delete_model_version_tag(model, version, name)
