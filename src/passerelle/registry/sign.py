"""Sign a model's manifest by OpenSSF model-signing with the operator's own key, and verify that of a version."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from passerelle.errors import NotFoundError, SettingsError
from passerelle.model.verify import check_signature
from passerelle.names import MANIFEST_FILE, SIGNATURE, ModelVersionRef
from passerelle.registry.client import Registry
from passerelle.settings import SigningSettings


def sign(manifest: Mapping[str, object], settings: SigningSettings, *, run_id: str) -> str | None:
    """Return the manifest's signature, a Sigstore bundle as JSON, with the run as its subject; None without a key to sign with.

    Raises:
        SettingsError: The key cannot be read or is not an elliptic-curve key.
    """
    if settings.signing_key is None:
        return None
    from model_signing import signing  # noqa: PLC0415 - slow to import, and most do not sign

    password = settings.signing_key_password
    with tempfile.TemporaryDirectory(prefix="passerelle-sign-") as temporary:
        # The folder's name becomes the subject of the statement.
        folder, bundle = Path(temporary) / run_id, Path(temporary) / "bundle"
        folder.mkdir()
        (folder / MANIFEST_FILE).write_text(
            json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False), encoding="utf-8"
        )
        try:
            if settings.signing_certificate is not None:
                own, chain = _separated(settings.signing_certificate, Path(temporary))
                config = signing.Config().use_certificate_signer(
                    private_key=settings.signing_key, signing_certificate=own, certificate_chain=chain
                )
            else:
                config = signing.Config().use_elliptic_key_signer(
                    private_key=settings.signing_key, password=password.get_secret_value() if password else None
                )
        except (OSError, ValueError, TypeError) as error:
            message = f"the key {settings.signing_key} cannot sign: {error or type(error).__name__}"
            raise SettingsError(message, hint="openssl ecparam -name prime256v1 -genkey -noout -out key.pem") from error
        config.sign(folder, bundle)
        return bundle.read_text(encoding="utf-8")


def _separated(path: Path, folder: Path) -> tuple[Path, list[Path]]:
    """Return the signer's certificate and those between it and a root as the files that model-signing reads; one file holds them all."""
    from cryptography import x509  # noqa: PLC0415 - only where a certificate signs
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 - only where a certificate signs

    files = []
    for place, certificate in enumerate(x509.load_pem_x509_certificates(path.read_bytes())):
        files.append(folder / f"certificate-{place}.pem")
        files[-1].write_bytes(certificate.public_bytes(Encoding.PEM))
    # Its chain may not be empty: the signer's own certificate adds nothing there.
    return files[0], files[1:] or files[:1]


def stored_signature(registry: Registry, run_id: str) -> str | None:
    """Return the signature beside the run's manifest; None where there is none."""
    try:
        with tempfile.TemporaryDirectory(prefix="passerelle-sign-") as temporary:
            return registry.run_artifact(run_id, SIGNATURE, Path(temporary)).read_text(encoding="utf-8")
    except NotFoundError:
        return None
    except UnicodeDecodeError:
        return ""


def verify_version(registry: Registry, ref: ModelVersionRef, manifest: Mapping[str, object], settings: SigningSettings) -> str | None:
    """Return the signature of a version's manifest, once it is verified where that is required; None where there is none.

    Raises:
        IntegrityError: As `check_signature`.
    """
    signature = stored_signature(registry, ref.run_id)
    check_signature(manifest, signature, settings, of=str(ref), run_id=ref.run_id)
    return signature
