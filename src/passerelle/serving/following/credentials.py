"""What a service shows MLflow of itself, and what it says where MLflow refuses that or is not trusted."""

from __future__ import annotations

import ssl

from passerelle.follow_settings import FollowSettings
from passerelle.regular_file import read_regular_file
from passerelle.serving.following.failures import NotReachedError

_CLIENT_HINT = "export MLFLOW_TRACKING_CLIENT_CERT_PATH=client.pem"


def request_headers(settings: FollowSettings) -> dict[str, str]:
    """Return the headers of a request, with the token or with user and password."""
    from urllib3 import make_headers  # noqa: PLC0415 - only a worker that follows needs a client for HTTP

    if settings.follow_token is not None:
        return {"authorization": f"Bearer {settings.follow_token.get_secret_value()}"}
    password = settings.follow_password.get_secret_value() if settings.follow_password else ""
    if settings.follow_password_file is not None:
        try:
            password = read_regular_file(settings.follow_password_file).decode().strip()
        except (OSError, UnicodeDecodeError):
            # MLflow refuses then, which the service reports; the file may come later.
            password = ""
    # The client writes Latin-1, and MLflow reads UTF-8.
    pair = f"{settings.follow_username}:{password}".encode().decode("latin-1")
    return dict(make_headers(basic_auth=pair)) if settings.follow_username else {}


def shown_credentials(settings: FollowSettings) -> tuple[str, str]:
    """Return what MLflow was shown, in words and without secrets, and the command that sets something else."""
    if settings.follow_token is not None:
        return "the token of MLFLOW_TRACKING_TOKEN, which may have expired", "export MLFLOW_TRACKING_TOKEN=TOKEN"
    hint = "export MLFLOW_TRACKING_USERNAME=USER MLFLOW_TRACKING_PASSWORD=PASSWORD"
    if not settings.follow_username:
        return "a request without credentials, and none are set", f"{hint}\nexport MLFLOW_TRACKING_TOKEN=TOKEN"
    user, file = settings.follow_username, settings.follow_password_file
    if file is None:
        return f"the user {user!r} with this password", hint
    return f"the user {user!r} with the password in {file}" + ("" if file.is_file() else ", which does not exist"), f"ls -l {file}"


def not_trusted(error: Exception) -> NotReachedError:
    """Return why no connection could be encrypted: nothing was asked."""
    cause = error.args[0] if error.args else None
    if isinstance(cause, ssl.SSLCertVerificationError):
        message = f"the certificate of the MLflow server is not trusted: {cause.verify_message}"
        return NotReachedError("certificate", message, hint="export MLFLOW_TRACKING_SERVER_CERT_PATH=authority.pem")
    reason = (cause.reason if isinstance(cause, ssl.SSLError) else None) or type(error).__name__
    message = f"the MLflow server at this https:// address takes no encrypted connection, or wants a certificate of the client's ({reason})"
    return NotReachedError("certificate", message, hint="export MLFLOW_TRACKING_URI=http://HOST:5000\n" + _CLIENT_HINT)
