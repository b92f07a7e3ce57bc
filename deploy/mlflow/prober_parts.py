"""Whether one part of the stack answers, asked as its own clients would; nothing is written, and no password is needed."""

import http.client
import socket
import ssl
from urllib.parse import urlsplit

import psycopg2
from cryptography import x509

TIMEOUT_S = 2
SERVER_ERROR = 500
#: What PostgreSQL says to somebody without an account: it looks after clients. Anything else is a server that does not.
_ASKS_WHO = ("no password supplied", "authentication failed", "does not exist", "no pg_hba.conf entry")


def answers(url: str, *, below: int = 300) -> bool:
    """Return whether an HTTP server answers with a status below a limit; redirects are not followed.

    Args:
        url: Of a page that needs no login.
        below: The limit.
    """
    address = urlsplit(url)
    host, port = address.hostname or "", address.port
    connection = (
        http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=_not_trusting())
        if address.scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    )
    try:
        connection.request("GET", address.path or "/")
        return connection.getresponse().status < below
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def mlflow_answers(url: str) -> bool:
    """Return whether the MLflow server answers."""
    return answers(f"{url.rstrip('/')}/health")


def s3_answers(url: str) -> bool:
    """Return whether the S3 answers: a refusal to somebody without a key is an answer."""
    return answers(url, below=SERVER_ERROR)


def postgresql_answers(host: str, port: int) -> bool:
    """Return whether PostgreSQL takes clients, as pg_isready finds out: it asks who is there."""
    try:
        # No password, so that there is none to steal here.
        psycopg2.connect(host=host, port=port, user="prober", dbname="prober", connect_timeout=TIMEOUT_S, passfile="/nonexistent").close()
    except psycopg2.OperationalError as error:
        return any(words in str(error) for words in _ASKS_WHO)
    return True


def _not_trusting() -> ssl.SSLContext:
    """Return a context that takes any certificate: whether it is trusted is another question than whether somebody answers."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def certificate_dates(host: str, port: int, name: str) -> "tuple[float, float] | None":
    """Return when the certificate that a server shows begins and ceases to be valid, in seconds since 1970; None where it shows none.

    Args:
        host: Where it listens.
        port: Where it listens.
        name: Server name that it is asked for.
    """
    try:
        with socket.create_connection((host, port), TIMEOUT_S) as plain, _not_trusting().wrap_socket(plain, server_hostname=name) as secure:
            shown = secure.getpeercert(binary_form=True)
    except (OSError, ValueError):
        return None
    if not shown:
        return None
    certificate = x509.load_der_x509_certificate(shown)
    return certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
