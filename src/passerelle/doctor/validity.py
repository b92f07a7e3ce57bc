"""Whether files of certificates are PEM, and until when they are valid."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from passerelle.count_of import count_of
from passerelle.doctor.diagnosis import Diagnosis, Health, fine
from passerelle.errors import shell_word
from passerelle.regular_file import read_regular_file

#: A bundle of all public authorities is a quarter of a MiB.
_MOST_BYTES = 8 << 20
_SOON = timedelta(days=14)


def validity(subject: str, path: Path, *, now: datetime | None = None) -> Iterator[Diagnosis]:
    """Yield whether the first certificate of a file is valid, and whether the file is one at all."""
    try:
        first, *_ = x509.load_pem_x509_certificates(read_regular_file(path, _MOST_BYTES))
    except (OSError, ValueError) as error:
        yield unreadable(subject, path, error)
    else:
        yield until(subject, f"the certificate {path}", first.not_valid_after_utc, now=now)


def unreadable(subject: str, path: Path, error: OSError | ValueError) -> Diagnosis:
    """Return why a file gives no certificate: it cannot be read, or is not PEM."""
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        return Diagnosis(subject, Health.FAULT, f"{path} cannot be read: {error.strerror}", hint=f"ls -l {shell_word(path)}")
    message = f"{path} holds no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----"
    return Diagnosis(subject, Health.FAULT, message, hint=f"openssl x509 -inform der -in {shell_word(path)} -out {shell_word(path)}.pem")


def until(subject: str, what: str, end: datetime, *, now: datetime | None = None) -> Diagnosis:
    """Return what the end of a certificate's validity means."""
    left = end - (now or datetime.now(UTC))
    if left < timedelta():
        return Diagnosis(subject, Health.FAULT, f"{what} expired on {end:%Y-%m-%d}; have it renewed")
    if left < _SOON:
        return Diagnosis(subject, Health.WARNING, f"{what} expires on {end:%Y-%m-%d}, in {count_of(left.days, 'day')}; have it renewed")
    return fine(subject, f"{what} is valid until {end:%Y-%m-%d}")
