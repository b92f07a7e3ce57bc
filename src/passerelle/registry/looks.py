"""Count a look at a test set: each verdict next to a version in production is an object beside the ledger, and known to MLflow."""

from __future__ import annotations

from dataclasses import replace

from passerelle.errors import BusyError, OutsideError
from passerelle.names import ModelVersionRef
from passerelle.registry.client import Registry
from passerelle.registry.ledger import hold_object
from passerelle.registry.look_anchors import tell_of_look
from passerelle.registry.look_objects import Look, RowSet, signed_look
from passerelle.registry.look_record import MOST_LOOKS, LookRecord, LookTaken, folder_of_looks, key_of_look, read_looks
from passerelle.settings import SigningSettings

__all__ = ["Look", "LookTaken", "RowSet", "take_look"]

_ATTEMPTS = 20


def take_look(
    registry: Registry,
    look: Look,
    registered_model: str,
    champion: ModelVersionRef | None,
    *,
    dry_run: bool,
    signing: SigningSettings | None = None,
) -> LookTaken:
    """Count a look, unless the same was asked before, and return its place; two at once get different places.

    Args:
        look: Without its number.
        champion: The version in production; None before the first promotion.
        dry_run: Whether it goes on where it cannot be written.
        signing: What it is signed with, and those before are verified with.

    Raises:
        OutsideError: S3 does not answer, or does not let it be written, and this is no dry run.
        BusyError: Others took the next number again and again.
        SettingsError: A key is missing or cannot be read.
    """
    for _ in range(_ATTEMPTS):
        record = read_looks(registry, registered_model, champion, signing)
        before = next((each for each in record.looks if each.asks_as(look) and each.number not in record.lost), None)
        if before is not None:
            return record.taken(before)
        new = signed_look(replace(look, number=record.last + 1, before=record.digests[-1]), signing)
        if new.number > MOST_LOOKS:
            return record.taken(new, counted=False)
        try:
            if not _count(registry, record, new, registered_model, champion):
                continue
        except OutsideError:
            if not dry_run:
                raise
            return record.taken(new, counted=False)
        return record.taken(new)
    raise BusyError("other verdicts are counted at this moment, again and again", hint="passerelle status")


def _count(registry: Registry, record: LookRecord, look: Look, registered_model: str, champion: ModelVersionRef | None) -> bool:
    """Write the look's object and tell MLflow; return False, and change nothing, if another look has its number by now."""
    key = key_of_look(folder_of_looks(registry, registered_model, record.beside), look.number)
    if not registry.objects.create(key, look.line()):
        return False
    hold_object(registry.objects, key)
    for each in (*record.interrupted, look):
        tell_of_look(registry, champion, each)
    return True
