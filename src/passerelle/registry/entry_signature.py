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
            message = f"the entries of the ledger of '{entry.registered_model}' are signed, and no key is set to sign the next one with"
            raise RefusedError(message, hint="export PASSERELLE_SIGNING_KEY=key.pem")
        return entry
    complete = replace(entry, signature=signature)
    try:
        check_entry_signature(complete, settings)
    except IntegrityError as error:
        message = "the key of PASSERELLE_SIGNING_KEY is not one that PASSERELLE_VERIFY_KEY trusts, a public key or a folder of them: "
        hint = "openssl ec -in key.pem -pubout -out public.pem; export PASSERELLE_VERIFY_KEY=public.pem"
        raise SettingsError(message + error.message, hint=hint) from error
    return complete


def signature_faults(entries: Sequence[Entry], settings: SigningSettings | None) -> Iterator[LedgerFault]:
    """Yield the entries whose signature is missing or not by a trusted key, where signatures are required.

    Through the chain, a valid signature covers all entries before it, also unsigned ones and those signed with a former key.

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
                found.append(LedgerFault(entry.number, f"its signature is not valid: {error.message}"))
        if entry.number == first:
            break
    yield from reversed(found)
