"""What MLflow knows of the ledger: a ledger forged in S3 alone does not agree with it."""

from __future__ import annotations

import re
from contextlib import suppress

from passerelle.errors import NotFoundError
from passerelle.model.ledger_entry import Entry
from passerelle.names import LEDGER_ANNOUNCED, LEDGER_ENTRY, ModelVersionRef
from passerelle.registry.chain import Anchors
from passerelle.registry.client import Registry

_TAG = re.compile(r"([0-9]{1,12}) (sha256:[0-9a-f]{64})")


def read_anchors(registry: Registry, registered_model: str) -> Anchors:
    """Return the entries that MLflow knows."""
    # On the registered model they outlive a version that is deleted.
    of_the_model = registry.model_tags(registered_model)
    tags = [of_the_model, *(info.tags for info in registry.versions(registered_model))]
    confirmed = (_parsed(each.get(LEDGER_ENTRY, "")) for each in tags)
    return Anchors(frozenset(each for each in confirmed if each), _parsed(of_the_model.get(LEDGER_ANNOUNCED, "")))


def announce(registry: Registry, entry: Entry) -> None:
    """Tell MLflow which entry is about to be written."""
    registry.set_model_tag(entry.registered_model, LEDGER_ANNOUNCED, _text(entry))


def confirm(registry: Registry, entry: Entry) -> None:
    """Tell MLflow that the entry is written."""
    registry.set_model_tag(entry.registered_model, LEDGER_ENTRY, _text(entry))
    moved = entry.from_version if entry.what == "undone" else entry.to_version
    # A version may be deleted since; the tag of the registered model is enough.
    with suppress(NotFoundError):
        registry.set_version_tags(ModelVersionRef(entry.registered_model, moved or 0, entry.run_id), {LEDGER_ENTRY: _text(entry)})


def _text(entry: Entry) -> str:
    return f"{entry.number} {entry.digest}"


def _parsed(text: str) -> tuple[int, str] | None:
    found = _TAG.fullmatch(text)
    return (int(found[1]), found[2]) if found else None
