"""Sign the ledger's entries with the operator's key, and verify that each one after the first signed one carries such a signature."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from passerelle.errors import IntegrityError, RefusedError, SettingsError
from passerelle.model.ledger_entry import SIGNED_SUBJECT, Entry, check_entry_signature
from passerelle.registry.chain import LedgerFault
from passerelle.registry.sign import sign
from passerelle.settings import SigningSettings


def signed(entry: Entry, settings: SigningSettings | None, *, last: Entry | None) -> Entry:
    """Return the entry with its signature; as it is where there is no key to sign with.

    Raises:
        RefusedError: There is no such key, and an entry without a signature would not be accepted here or by others.
        SettingsError: The key cannot be read, or is not one that is trusted here.
    """
    signature = sign(entry.content(), settings, run_id=SIGNED_SUBJECT) if settings else None
    if signature is None:
        if (last is not None and last.signature) or (settings is not None and settings.verify == "required"):
            message = f"the entries of the ledger of « {entry.registered_model} » are signed, and no key is set to sign the next one with"
            raise RefusedError(message, hint="export PASSERELLE_SIGNING_KEY=key.pem")
        return entry
    complete = replace(entry, signature=signature)
    try:
        check_entry_signature(complete, settings)
    except IntegrityError as error:
        message = f"the key of PASSERELLE_SIGNING_KEY is not one that PASSERELLE_VERIFY_KEY trusts: {error.message}"
        raise SettingsError(message, hint="add its public half to the folder that PASSERELLE_VERIFY_KEY names") from error
    return complete


def signature_findings(entries: Sequence[Entry], settings: SigningSettings | None) -> Iterator[LedgerFault]:
    """Yield the entries whose signature is missing or not by a trusted key, where signatures are required.

    A good signature covers all entries before it through the chain, also those from before there was a key or by a key of former times.

    Raises:
        SettingsError: Signatures are required and there is no key to verify them with.
    """
    if settings is None or not settings.required or not entries:
        return
    first = next((entry.number for entry in entries if entry.signature), None)
    if first is None:
        if settings.verify == "required":
            yield LedgerFault(len(entries), "it is not signed, nor is any before it, and PASSERELLE_VERIFY=required asks for a signature")
        return
    found = []
    for entry in reversed(entries):
        if not entry.signature:
            found.append(LedgerFault(entry.number, f"it is not signed, and entries are signed since entry {first}"))
        else:
            try:
                check_entry_signature(entry, settings)
                break
            except IntegrityError as error:
                found.append(LedgerFault(entry.number, f"its signature is not good: {error.message}"))
        if entry.number == first:
            break
    yield from reversed(found)
