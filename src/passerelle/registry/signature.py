"""The signature of a model's manifest, by OpenSSF model-signing with the operator's own key."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from passerelle.errors import IntegrityError, NotFoundError, SettingsError
from passerelle.names import ModelVersionRef
from passerelle.registry.client import Registry
from passerelle.settings import SigningSettings

#: Where it is, among the artifacts of a run; beside the manifest, which holds the digest of every file of the model.
SIGNATURE = "passerelle/manifest.sig"
_FILE = "manifest.json"


def sign(manifest: Mapping[str, Any], settings: SigningSettings) -> str | None:
    """Return the manifest's signature, a Sigstore bundle as JSON; None without a key to sign with.

    Raises:
        SettingsError: The key cannot be read or is not an elliptic-curve key.
    """
    if settings.signing_key is None:
        return None
    from model_signing import signing  # noqa: PLC0415 - slow to import, and most do not sign

    password = settings.signing_key_password
    with tempfile.TemporaryDirectory(prefix="passerelle-sign-") as temporary:
        folder = _written(manifest, Path(temporary))
        bundle = Path(temporary) / "bundle"
        try:
            config = signing.Config().use_elliptic_key_signer(
                private_key=settings.signing_key, password=password.get_secret_value() if password else None
            )
        except (OSError, ValueError, TypeError) as error:
            message = f"the key {settings.signing_key} cannot sign: {type(error).__name__}"
            raise SettingsError(message, hint="openssl ecparam -name prime256v1 -genkey -noout -out key.pem") from error
        config.sign(folder, bundle)
        return bundle.read_text(encoding="utf-8")


def verify(manifest: Mapping[str, Any], signature: str | None, settings: SigningSettings, *, of: str) -> None:
    """Return when the signature is the operator's for this manifest, or none is required.

    Args:
        signature: What `sign` returned; None where there is none.
        of: What is verified, for the message.

    Raises:
        SettingsError: A signature is required and no key is there to verify it with.
        IntegrityError: There is no signature, or it is another manifest's or another key's.
    """
    if not settings.required:
        return
    if settings.verify_key is None:
        raise SettingsError(
            "signatures are required, and no key is set to verify them with", hint="export PASSERELLE_VERIFY_KEY=public.pem"
        )
    hint = "passerelle register, with PASSERELLE_SIGNING_KEY set; PASSERELLE_VERIFY=off goes without, in development"
    if signature is None:
        raise IntegrityError(f"{of} is not signed, and a signature is required", hint=hint)
    if not _is_good(manifest, signature, settings.verify_key):
        raise IntegrityError(f"the signature of {of} is not by {settings.verify_key} for these files", hint=hint)


def verify_version(registry: Registry, ref: ModelVersionRef, manifest: Mapping[str, Any], settings: SigningSettings) -> str | None:
    """Return the signature of a version's manifest, once it is verified where that is required; None where there is none.

    Raises:
        IntegrityError: As `verify`.
    """
    signature: str | None
    try:
        with tempfile.TemporaryDirectory(prefix="passerelle-sign-") as temporary:
            signature = registry.run_artifact(ref.run_id, SIGNATURE, Path(temporary)).read_text(encoding="utf-8")
    except NotFoundError:
        signature = None
    verify(manifest, signature, settings, of=str(ref))
    return signature


def _is_good(manifest: Mapping[str, Any], signature: str, key: Path) -> bool:
    from model_signing import verifying  # noqa: PLC0415 - slow to import

    try:
        config = verifying.Config().use_elliptic_key_verifier(public_key=key)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"the key {key} cannot verify: {type(error).__name__}", hint="openssl ec -in key.pem -pubout -out public.pem"
        ) from error
    return _verified(config.verify, manifest, signature)


def _verified(check: Callable[[Path, Path], None], manifest: Mapping[str, Any], signature: str) -> bool:
    with tempfile.TemporaryDirectory(prefix="passerelle-sign-") as temporary:
        bundle = Path(temporary) / "bundle"
        bundle.write_text(signature, encoding="utf-8")
        try:
            check(_written(manifest, Path(temporary)), bundle)
        except Exception:  # noqa: BLE001 - the library raises whatever its parts raise for what is not a bundle; none of it is a signature
            return False
    return True


def _written(manifest: Mapping[str, Any], folder: Path) -> Path:
    """Write the manifest as canonical JSON, alone in a folder."""
    made = folder / "signed"
    made.mkdir()
    (made / _FILE).write_text(json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False), encoding="utf-8")
    return made
