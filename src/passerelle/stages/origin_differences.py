"""What is said of a version, by tags, parameters, artifacts and ledger entries, and differs from what its manifest records."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from passerelle.errors import IntegrityError, NotFoundError
from passerelle.model.ledger_entry import Entry
from passerelle.model.manifest import digest_of_file, digest_of_manifest
from passerelle.registry.chain import stood
from passerelle.registry.client import Registry
from passerelle.registry.recorded_origin import Recorded, recorded
from passerelle.registry.training_data import TRAINING, digests_of
from passerelle.registry.verified import verified_ledger
from passerelle.settings import SigningSettings

_DIGEST_LENGTH_IN_FOLDER = 12


def differences_of(registry: Registry, found: Recorded, signing: SigningSettings | None) -> Iterator[str]:
    """Yield what differs from the manifest of a version, a sentence each; of a broken ledger, which others report, nothing is told."""
    yield from _of_manifest(registry, found)
    try:
        entries = verified_ledger(registry, found.version.ref.registered_model, signing).entries
    except IntegrityError:
        return
    yield from _of_ledger(registry, found, entries)


def differences_of_ledger(registry: Registry, registered_model: str, entries: Sequence[Entry]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what differs for each version that was ever put into production and is still there, and whose manifest is an older one."""
    versions = {info.ref.version: info for info in registry.versions(registered_model)}
    differences: list[str] = []
    notes: list[str] = []
    for number in sorted({entry.to_version for entry in entries if entry.to_version in versions}):
        found = recorded(registry, versions[number])
        differences += [f"version {number}: {text}" for text in (*_of_manifest(registry, found), *_of_ledger(registry, found, entries))]
        notes += [f"version {number}: {found.note}"] if found.note else []
    return tuple(differences), tuple(notes)


def _of_manifest(registry: Registry, found: Recorded) -> Iterator[str]:
    yield from (each.text for each in found.differences)
    training = dict((found.manifest or {}).get(TRAINING) or {})
    with tempfile.TemporaryDirectory(prefix="passerelle-trace-") as folder:
        try:
            stored = digests_of(registry, found.version.ref.run_id, Path(folder)) if training else {}
        except NotFoundError:
            stored = {}
    for name, digest in sorted(training.items()):
        if stored.get(name) != digest:
            yield f"{name} of its training {'has ' + stored[name] if name in stored else 'is gone'}, the manifest says {digest}"


def _of_ledger(registry: Registry, found: Recorded, entries: Sequence[Entry]) -> Iterator[str]:
    """Yield where the last entry about the version has another digest of its files, or its report is another one than the gate wrote."""
    ref = found.version.ref
    last = next((entry for entry in reversed(list(stood(entries))) if (entry.to_version, entry.run_id) == (ref.version, ref.run_id)), None)
    if last is None:
        return
    now = digest_of_manifest(found.manifest) if found.manifest is not None else None
    if last.artifact_digest and now is not None and last.artifact_digest != now:
        yield f"entry {last.number} of the ledger put files with the digest {last.artifact_digest} into production, the manifest has {now}"
    if last.report_digest:
        place = f"gate/{last.report_digest.removeprefix('sha256:')[:_DIGEST_LENGTH_IN_FOLDER]}/report.html"
        stored = _stored_digest(registry, ref.run_id, place)
        if stored != last.report_digest:
            what = f"has the digest {stored}" if stored else "is gone"
            yield f"the gate's report {place} {what}, entry {last.number} of the ledger says {last.report_digest}"


def _stored_digest(registry: Registry, run_id: str, path: str) -> str | None:
    with tempfile.TemporaryDirectory(prefix="passerelle-trace-") as folder:
        try:
            return digest_of_file(registry.run_artifact(run_id, path, Path(folder)))
        except NotFoundError:
            return None
