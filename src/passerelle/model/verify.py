"""The signature of a model's manifest, verified wherever the model goes, with `cryptography` alone: the service has no model-signing.

A signature is a Sigstore bundle as OpenSSF model-signing writes it: a DSSE envelope (https://github.com/secure-systems-lab/dsse) around an
in-toto statement, whose subject is the run that the model comes from and whose one resource is the manifest as canonical JSON.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from passerelle.errors import TRAIN_AGAIN, SettingsError, SignatureError
from passerelle.model.certificate import certified_key
from passerelle.model.manifest import ADOPTED, digest_of_manifest
from passerelle.names import MANIFEST_FILE, SIGNATURE_FILE
from passerelle.regular_file import MOST_MODEL_BYTES, read_regular_file
from passerelle.settings import SigningSettings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.x509 import Certificate

_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://model_signing/signature/v1.0"
_KEY_FILES = ("*.pem", "*.pub", "*.crt")
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


def check_signature(
    manifest: Mapping[str, object], bundle: str | None, settings: SigningSettings, *, of: str, run_id: str, own: bool = False
) -> str | None:
    """Return the fingerprint of the key or certificate that signed the manifest; None where no signature is required.

    Args:
        bundle: What `register` stored; None where there is none.
        of: What is verified, for the message.
        run_id: The run that the model is said to come from; the signature of another run's model is refused.
        own: Trust the key that signs here too, where other keys are set to verify with.

    Raises:
        SettingsError: A signature is required and there is no key to verify it with, or the key cannot be read.
        IntegrityError: There is no signature, or it is by another key, of other files, or of another run.
    """
    if not settings.required:
        return None
    keys, roots = {**dict(_keys(settings)), **dict(_own_key(settings) if own else ())}, _roots(settings)
    if not keys and not roots:
        message = "signatures are required, and no key is set to verify them with"
        raise SettingsError(message, hint="export PASSERELLE_VERIFY_KEY=public.pem")
    if bundle is None:
        raise _unsigned(of, run_id, adopted=ADOPTED in manifest)
    try:
        payload, signature, chain = _opened(bundle)
        certified = certified_key(chain, roots) if chain and roots else None
        keys.update([certified] if certified else [])
        signer = next((name for name, key in keys.items() if _signed_by(key, payload, signature)), None)
        if signer is None:
            place = settings.verify_key or settings.signing_key
            raise SignatureError(f"the signature of {of} is not by a key of {place}", hint=TRAIN_AGAIN)
        subject, digests = _statement(payload)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise SignatureError(f"the signature of {of} is not a readable bundle", hint=TRAIN_AGAIN) from error
    if digests != {MANIFEST_FILE: digest_of_manifest(manifest)}:
        raise SignatureError(f"the signature of {of} is not for these files", hint=TRAIN_AGAIN)
    if subject != run_id:
        raise SignatureError(f"the signature of {of} is that of another run's model: {subject}", hint=TRAIN_AGAIN)
    return signer


def _unsigned(of: str, run_id: str, *, adopted: bool) -> SignatureError:
    again = "passerelle adopt models:/NAME/VERSION" if adopted else f"passerelle register --run {run_id}"
    hint = f"export PASSERELLE_SIGNING_KEY=key.pem; {again}"
    return SignatureError(f"{of} is not signed, and a signature is required", hint=hint)


def check_stored_signature(folder: Path, manifest: Mapping[str, object], settings: SigningSettings, *, run_id: str) -> str | None:
    """Return the fingerprint of the key that signed a bento model's directory; None where no signature is required.

    Raises:
        IntegrityError: As `check_signature`.
    """
    path = folder / SIGNATURE_FILE
    try:
        bundle = read_regular_file(path, MOST_MODEL_BYTES).decode() if os.path.lexists(path) else None
    except (OSError, UnicodeDecodeError):
        bundle = ""
    return check_signature(manifest, bundle, settings, of=f"the model of run {run_id}", run_id=run_id)


def own_fingerprint(settings: SigningSettings) -> str | None:
    """Return the fingerprint of the key that signs here; None without one.

    Raises:
        SettingsError: The key cannot be read.
    """
    return next((fingerprint for fingerprint, _ in _own_key(settings)), None)


def _own_key(settings: SigningSettings) -> Iterator[tuple[str, EllipticCurvePublicKey]]:
    """Yield the public half of the key that signs, with its fingerprint, where one is set."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - only where a key is set
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    if settings.signing_key is None:
        return
    password = settings.signing_key_password
    secret = password.get_secret_value().encode() if password else None
    try:
        private: Any = serialization.load_pem_private_key(read_regular_file(settings.signing_key), secret)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        message = f"the key {settings.signing_key} cannot sign: {type(error).__name__}"
        raise SettingsError(message, hint="openssl ecparam -name prime256v1 -genkey -noout -out key.pem") from error
    yield _fingerprint(private.public_key()), private.public_key()


def _keys(settings: SigningSettings) -> Iterator[tuple[str, EllipticCurvePublicKey]]:
    """Yield the operator's public keys with their fingerprints: those to verify with, else the public half of the one that signs."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - only where a key is set
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    if settings.verify_key is None:
        yield from _own_key(settings)
    for path in _files(settings):
        try:
            content = read_regular_file(path)
            if _CERTIFICATE not in content:
                key: Any = serialization.load_pem_public_key(content)
                yield _fingerprint(key), key
        except (OSError, ValueError, TypeError, AttributeError, UnsupportedAlgorithm) as error:
            raise _unusable(path, error) from error


def _roots(settings: SigningSettings) -> list[Certificate]:
    """Return the certificates that the operator trusts to have issued a signer's."""
    from cryptography import x509  # noqa: PLC0415

    roots = []
    for path in _files(settings):
        try:
            content = read_regular_file(path)
            roots += x509.load_pem_x509_certificates(content) if _CERTIFICATE in content else []
        except (OSError, ValueError) as error:
            raise _unusable(path, error) from error
    return roots


def _files(settings: SigningSettings) -> list[Path]:
    place = settings.verify_key
    if place is None:
        return []
    return sorted(path for pattern in _KEY_FILES for path in place.glob(pattern)) if place.is_dir() else [place]


def _unusable(path: Path, error: Exception) -> SettingsError:
    return SettingsError(f"the key {path} cannot verify: {type(error).__name__}", hint="openssl ec -in key.pem -pubout -out public.pem")


def _fingerprint(key: EllipticCurvePublicKey) -> str:
    """Return SHA-256 of the public key in PEM: what model-signing writes into a bundle as the key's hint."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    key.curve  # noqa: B018 - keys of other kinds have none, and are refused
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return "sha256:" + hashlib.sha256(pem).hexdigest()


def _opened(bundle: str) -> tuple[bytes, bytes, list[bytes]]:
    """Return the payload, its signature, and the chain of the signer's certificate in DER, which is empty for a plain key."""
    content = json.loads(bundle)
    envelope = content["dsseEnvelope"]
    if envelope["payloadType"] != _PAYLOAD_TYPE:
        raise ValueError("not an in-toto statement")
    (signature,) = envelope["signatures"]
    certificates = content.get("verificationMaterial", {}).get("x509CertificateChain", {}).get("certificates", [])
    payload, signed, *chain = (
        base64.b64decode(text, validate=True)
        for text in (envelope["payload"], signature["sig"], *(certificate["rawBytes"] for certificate in certificates))
    )
    return payload, signed, chain


def _signed_by(key: EllipticCurvePublicKey, payload: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA  # noqa: PLC0415

    # The hash that the Sigstore bundle prescribes for each curve.
    algorithm = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}[key.curve.key_size]
    try:
        # DSSE's pre-authentication encoding, as in its protocol.md.
        key.verify(signature, b"DSSEv1 %d %b %d %b" % (len(_PAYLOAD_TYPE), _PAYLOAD_TYPE.encode(), len(payload), payload), ECDSA(algorithm))
    except InvalidSignature:
        return False
    return True


def _statement(payload: bytes) -> tuple[str, dict[str, str]]:
    """Return the subject's name and the digest of each signed file."""
    statement = json.loads(payload)
    if (statement["_type"], statement["predicateType"]) != (_STATEMENT, _PREDICATE):
        raise ValueError("not a statement of model-signing")
    (subject,) = statement["subject"]
    resources = statement["predicate"]["resources"]
    return str(subject["name"]), {str(each["name"]): f"{each['algorithm']}:{each['digest']}" for each in resources}
