"""The keys that models and the ledger are signed and verified with: a signature is made and verified."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

from passerelle.doctor.diagnosis import Diagnosis, Health, Surroundings, fine, not_used
from passerelle.doctor.validity import validity
from passerelle.errors import SignatureError, shell_word
from passerelle.model.verify import check_signature
from passerelle.registry.sign import sign
from passerelle.settings import SigningSettings

NAME = "signature keys"
_RUN = "0" * 32
_MANIFEST: Mapping[str, object] = {"files": {}}


def probe(here: Surroundings) -> Iterator[Diagnosis]:
    """Say whether what is signed here is verified here, and whether the keys to verify with can be read."""
    signing = here.signing
    if signing.signing_key is None and signing.verify_key is None:
        if signing.required:
            message = "signatures are required, and no key is set to verify them with"
            yield Diagnosis(NAME, Health.FAULT, message, hint="export PASSERELLE_VERIFY_KEY=public.pem")
        else:
            yield not_used(NAME, "no key is set: models and the ledger's entries are not signed")
        return
    if signing.signing_certificate is not None:
        yield from validity(NAME, signing.signing_certificate)
    strict = signing.model_copy(update={"verify": "required"})
    yield _signs(strict) if signing.signing_key is not None else _reads(strict)


def _signs(signing: SigningSettings) -> Diagnosis:
    bundle = sign(_MANIFEST, signing, run_id=_RUN)
    try:
        signer = check_signature(_MANIFEST, bundle, signing, of="a signature made for this test", run_id=_RUN)
    except SignatureError:
        message = f"what {signing.signing_key} signs is not verified by {signing.verify_key}: what is registered here is refused here"
        return Diagnosis(NAME, Health.FAULT, message, hint=f"openssl ec -in {shell_word(signing.signing_key)} -pubout -out public.pem")
    return fine(NAME, f"what {signing.signing_key} signs is verified here ({signer})")


def _reads(signing: SigningSettings) -> Diagnosis:
    # All keys are read before what is not signed is refused.
    with suppress(SignatureError):
        check_signature(_MANIFEST, None, signing, of="nothing", run_id=_RUN)
    return fine(NAME, f"signatures are verified by {signing.verify_key}; nothing is signed here")
