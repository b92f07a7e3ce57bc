"""Where an answer may be besides, after it was erased from the prediction log."""

from __future__ import annotations

from collections.abc import Iterator

from passerelle.names import DATA_EXPORT, HELD_OUT
from passerelle.registry.client import Registry
from passerelle.registry.recorded_origin import recorded
from passerelle.stages.log_location import LogLocation


def copies(location: LogLocation) -> Iterator[str]:
    """Yield what may hold the texts beside the log, and until when."""
    days = location.settings.log_text_days
    yield f"copies of the log that you made; `passerelle backup` makes none. Delete those with texts once they are {days} days old"
    if location.bucket is not None:
        yield "files that a service on another machine writes: its collector removes the lines at its next round; readers skip them now"


def versions_from_exports(registry: Registry) -> Iterator[str]:
    """Yield the versions that were trained on an export of corrected answers: the rows that their training held out are among them."""
    name = registry.settings.registered_model
    for info in registry.versions(name):
        # The tag alone counts too: a notebook's version has no manifest.
        if DATA_EXPORT in {**info.tags, **recorded(registry, info).tags}:
            held_out = f"{HELD_OUT} of its training holds rows of it"
            yield f"{info.ref}, which learned from an export of corrected answers, as run {info.ref.run_id} says; {held_out}"
