"""What MLflow knows of the ledger: a ledger forged in S3 alone does not agree with it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from passerelle.errors import NotFoundError
from passerelle.model.ledger_entry import ERASURE, UNDONE, Entry
from passerelle.model.numbered_params import numbered_param
from passerelle.names import ENTRY_PARAM, LEDGER_ANNOUNCED, LEDGER_CANDIDATE, LEDGER_ENTRY, LEDGER_ERASURE, ModelVersionRef, ledger_artifact
from passerelle.registry.chain import Anchors
from passerelle.registry.client import Registry
from passerelle.registry.run_params import numbered_digests, tell_run

_TAG = re.compile(r"([0-9]{1,12}) (sha256:[0-9a-f]{64})")


def read_anchors(registry: Registry, registered_model: str) -> Anchors:
    """Return the entries that MLflow knows."""
    # On the registered model they outlive a version that is deleted.
    of_the_model = registry.model_tags(registered_model)
    tags = [of_the_model, *(info.tags for info in registry.versions(registered_model))]
    confirmed = (_parsed(each.get(name, "")) for each in tags for name in (LEDGER_ENTRY, LEDGER_CANDIDATE, LEDGER_ERASURE))
    return Anchors(frozenset(each for each in confirmed if each), _parsed(of_the_model.get(LEDGER_ANNOUNCED, "")))


def announce(registry: Registry, entry: Entry) -> None:
    """Tell MLflow which entry is about to be written."""
    registry.set_model_tag(entry.registered_model, LEDGER_ANNOUNCED, _text(entry))


def confirm(registry: Registry, entry: Entry) -> None:
    """Tell MLflow that the entry is written."""
    registry.set_model_tag(entry.registered_model, tag_of(entry), _text(entry))
    for version in _concerned(entry):
        # A version may be deleted since; the tag of the registered model is enough.
        with suppress(NotFoundError):
            registry.set_version_tags(ModelVersionRef(entry.registered_model, version, ""), {tag_of(entry): _text(entry)})
    if not entry.moves_production:
        return
    for version in dict.fromkeys(filter(None, (entry.from_version, entry.to_version))):
        # So that whoever puts the ledger and these tags back to an earlier state leaves what tells it.
        with suppress(NotFoundError):
            run_id = registry.model_version(entry.registered_model, version).ref.run_id
            tell_run(registry, run_id, numbered_param(ENTRY_PARAM, entry.registered_model, entry.number), entry.digest)


def removed_entries(
    registry: Registry, registered_model: str, entries: Sequence[Entry], *, run_ids: Iterable[str] | None = None
) -> Iterator[str]:
    """Yield what the runs of the versions know of entries that are not those of the ledger: it was put back to an earlier state.

    Args:
        run_ids: The runs that are asked; by default those of all versions.

    Raises:
        OutsideError: MLflow does not answer.
    """
    digests = {entry.number: entry.digest for entry in entries}
    if run_ids is None:
        run_ids = (info.ref.run_id for info in registry.versions(registered_model))
    for run_id in dict.fromkeys(filter(None, run_ids)):
        for number, digest in sorted(numbered_digests(registry, run_id, ENTRY_PARAM, registered_model).items()):
            if digests.get(number) != digest:
                here = "is another here" if number in digests else "is missing here"
                yield f"the run {run_id} knows an entry {number} of the ledger, {digest}, which {here}: the ledger was put back or forged"


def publish(registry: Registry, entry: Entry) -> None:
    """Store the entry's line as an artifact of the run of the version that it leaves in production, or of the candidate.

    A service that follows the registry may read MLflow, and not the ledger's objects in S3.
    """
    if not entry.run_id:
        return
    # A run may be deleted since, and a bento that was made of it is deployed all the same.
    with suppress(NotFoundError):
        registry.write_text(entry.run_id, ledger_artifact(entry.number), entry.line().decode())


def unpublished(registry: Registry, entry: Entry) -> tuple[str, ...]:
    """Return what MLflow lacks of the last entry, in words: its writer was interrupted, or wrote it before lines were published."""
    try:
        tags = registry.model_version(entry.registered_model, entry.to_version).tags
    except NotFoundError:
        # A version that was deleted since takes no tags, and nobody serves it.
        return ()
    missing = []
    tag = tag_of(entry)
    if {registry.model_tags(entry.registered_model).get(tag), tags.get(tag)} != {_text(entry)}:
        missing.append(f"tag {tag}: entry {entry.number}")
    if entry.run_id and _artifact(registry, entry) != entry.line():
        missing.append(f"artifact {ledger_artifact(entry.number)} of the run {entry.run_id}")
    return tuple(missing)


def tag_of(entry: Entry) -> str:
    """Return the tag that names the entry: one about a candidate or an erasure leaves the tag of the version in production alone."""
    if entry.what == ERASURE:
        return LEDGER_ERASURE
    return LEDGER_ENTRY if entry.moves_production else LEDGER_CANDIDATE


def _concerned(entry: Entry) -> Iterator[int]:
    """Yield the version that the entry moved, and the one that it leaves in production."""
    if entry.what == UNDONE and entry.from_version:
        yield entry.from_version
    if entry.to_version:
        yield entry.to_version


def _artifact(registry: Registry, entry: Entry) -> bytes | None:
    with tempfile.TemporaryDirectory(prefix="passerelle-ledger-") as folder, suppress(NotFoundError):
        return registry.run_artifact(entry.run_id, ledger_artifact(entry.number), Path(folder)).read_bytes()
    return None


def _text(entry: Entry) -> str:
    return f"{entry.number} {entry.digest}"


def _parsed(text: str) -> tuple[int, str] | None:
    found = _TAG.fullmatch(text)
    return (int(found[1]), found[2]) if found else None
