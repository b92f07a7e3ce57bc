"""A signing certificate, trusted when it leads to a root that the operator set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.x509 import Certificate

_LONGEST_CHAIN = 8


def certified_key(chain: Sequence[bytes], roots: Sequence[Certificate]) -> tuple[str, EllipticCurvePublicKey] | None:
    """Return the signer's certificate's fingerprint and its key; None where it leads to none of the roots or is not made to sign.

    A signature holds no trusted time, and models outlive the certificate that they were signed with: the chain is
    verified for the moment at which the signer's certificate became valid, as model-signing does. A root is taken back by removing it.

    Args:
        chain: The signer's certificate and those between it and a root, in DER.

    Raises:
        ValueError: Something of the chain is not a certificate.
    """
    from cryptography import x509  # noqa: PLC0415 - only where certificates are used
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.x509 import verification  # noqa: PLC0415

    signer, *between = [x509.load_der_x509_certificate(content) for content in chain]
    authority = verification.ExtensionPolicy.permit_all().require_present(
        x509.BasicConstraints, verification.Criticality.AGNOSTIC, _is_authority
    )
    policy = (
        verification.PolicyBuilder()
        .store(verification.Store(list(roots)))
        .time(signer.not_valid_before_utc)
        .max_chain_depth(_LONGEST_CHAIN)
        .extension_policies(ca_policy=authority, ee_policy=verification.ExtensionPolicy.permit_all())
    )
    try:
        policy.build_client_verifier().verify(signer, between)
    except verification.VerificationError:
        return None
    key: Any = signer.public_key()
    return ("sha256:" + signer.fingerprint(hashes.SHA256()).hex(), key) if _may_sign(signer) and hasattr(key, "curve") else None


def _is_authority(_policy: object, _certificate: Certificate, constraints: Any) -> None:
    if not constraints.ca:
        raise ValueError("not a certificate authority")


def _may_sign(certificate: Certificate) -> bool:
    from cryptography import x509  # noqa: PLC0415

    try:
        if certificate.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature:
            return True
    except x509.ExtensionNotFound:
        pass
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return x509.oid.ExtendedKeyUsageOID.CODE_SIGNING in usage
