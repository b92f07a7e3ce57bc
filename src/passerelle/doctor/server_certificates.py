"""The certificates of the servers that are reached over TLS, and the files of authorities that they are checked by."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from passerelle.doctor.diagnosis import Diagnosis, Health, Surroundings, fine, not_used
from passerelle.doctor.validity import unreadable, until

NAME = "certificates"
#: OpenSSL's number of it: no authority that is added helps.
_EXPIRED = 10
_TIMEOUT_S = 5.0
#: What the HTTP clients of MLflow, boto3, requests and Python's own read.
AUTHORITIES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE", "SSL_CERT_FILE", "MLFLOW_TRACKING_SERVER_CERT_PATH")


def probe(here: Surroundings) -> Iterator[Diagnosis]:
    """Say which certificate is not trusted here or expires, and which file of authorities holds none."""
    files = {name: Path(here.environment[name]) for name in AUTHORITIES if here.environment.get(name)}
    broken = [each for path in dict.fromkeys(files.values()) if not path.is_dir() and (each := _no_authorities(path)) is not None]
    yield from broken
    addresses = (here.server.tracking_uri if here.server else None, here.s3.endpoint_url, here.client.service_address)
    over_tls = [each for each in dict.fromkeys(addresses) if each is not None and each.startswith("https://")]
    authorities = next((path for path in files.values() if path.is_file()), None)
    for address in over_tls if not broken else ():
        yield server(address, authorities)
    if not over_tls and not broken:
        named = f"; {', '.join(files)} can be read" if files else ""
        yield (fine if files else not_used)(NAME, f"no server here is reached over TLS{named}")


def _no_authorities(path: Path) -> Diagnosis | None:
    """Return why a file holds no authorities; None where it does."""
    try:
        ssl.create_default_context(cafile=str(path))
    except OSError as error:  # ssl.SSLError is one too
        return unreadable(NAME, path, error)
    return None


def server(address: str, authorities: Path | None) -> Diagnosis:
    """Return whether the certificate at an https address is trusted, and until when it is valid."""
    parts = urlsplit(address)
    place = (str(parts.hostname), parts.port or 443)
    try:
        context = ssl.create_default_context(cafile=str(authorities) if authorities else None)
        with socket.create_connection(place, _TIMEOUT_S) as plain, context.wrap_socket(plain, server_hostname=place[0]) as connection:
            certificate = connection.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        message = f"the certificate of {address} is not trusted here: {error.verify_message}"
        if error.verify_code == _EXPIRED:
            return Diagnosis(NAME, Health.FAULT, f"{message}; renew it there", hint=f"openssl s_client -connect {place[0]}:{place[1]}")
        return Diagnosis(NAME, Health.FAULT, message, hint="export REQUESTS_CA_BUNDLE=FILE AWS_CA_BUNDLE=FILE SSL_CERT_FILE=FILE")
    except OSError as error:
        return Diagnosis(NAME, Health.NOT_TRIED, f"{address} gives no certificate: {error.strerror or error}")
    end = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    return until(NAME, f"the certificate of {address}", datetime.fromtimestamp(end, UTC))
