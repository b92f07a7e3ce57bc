"""Whether MLflow and S3 answer, asked without importing MLflow or boto3, which takes seconds."""

from __future__ import annotations

import re
import socket
from urllib.parse import urlsplit

from passerelle.errors import OutsideError
from passerelle.proxy_variables import past_proxy, proxy_variable, through_proxy
from passerelle.settings import MlflowSettings, S3Settings

#: The first is for another terminal, where it runs until Ctrl-C, and prints what to type in this one.
MLFLOW_HINT = "passerelle up\nexport MLFLOW_TRACKING_URI=URL"
S3_HINT = "passerelle up\nexport MLFLOW_S3_ENDPOINT_URL=URL"
#: `doctor` names the file that is none, and each certificate that is not trusted.
_TLS_HINT = "passerelle doctor\nexport REQUESTS_CA_BUNDLE=FILE"
_TLS_REASON = re.compile(r"\] (.+?)(?: \(_ssl\.c|$)")
_PORTS = {"http": 80, "https": 443}
_S3_TIMEOUT_S = 5.0


def listens(address: str, timeout_s: float) -> bool:
    """Return whether a server accepts connections at the address.

    Also True if this cannot be checked: the address is not HTTP, or is reached through a proxy.
    """
    parts = urlsplit(address)
    if parts.scheme not in _PORTS or not parts.hostname:
        return True
    if proxy_variable(address) is not None:
        return True
    try:
        socket.create_connection((parts.hostname, parts.port or _PORTS[parts.scheme]), timeout_s).close()
    except (OSError, ValueError):
        return False
    return True


def check_mlflow(settings: MlflowSettings) -> None:
    """Check that the MLflow server is healthy; takes seconds at most, where MLflow's own retries take minutes.

    Raises:
        OutsideError: It does not answer, a web page does, or the authorities' file here is not usable.
    """
    address = settings.tracking_uri
    if not address.startswith(("http://", "https://")):
        return
    if not listens(address, settings.timeout_s):
        raise OutsideError(f"MLflow does not answer at {address}", hint=MLFLOW_HINT)
    import requests  # noqa: PLC0415 - takes as long to import as all else that a refusal needs

    try:
        answer = requests.get(f"{address.rstrip('/')}/health", timeout=settings.timeout_s)
        answer.raise_for_status()
    except requests.exceptions.SSLError as error:
        found = _TLS_REASON.search(str(error))
        raise OutsideError(f"no TLS connection to {address}: {found[1] if found else 'it is refused'}", hint=_TLS_HINT) from error
    except requests.RequestException as error:
        message = f"MLflow does not answer at {address}{through_proxy(address)}"
        raise OutsideError(message, hint=past_proxy(address, MLFLOW_HINT)) from error
    except OSError as error:  # of the authorities' file: requests names it
        raise OutsideError(f"no TLS connection to {address}: {error}", hint=_TLS_HINT) from error
    if answer.text.lstrip().startswith("<"):
        message = f"a web page answers at {address}, as that of a proxy or of a sign-in, and not MLflow"
        raise OutsideError(message, hint="export MLFLOW_TRACKING_URI=URL")


def check_s3_listens(settings: S3Settings) -> None:
    """Check that something listens at the address of the S3; whether it accepts the keys is for `Objects.check`.

    Raises:
        OutsideError: Nothing does.
    """
    if settings.endpoint_url and not listens(settings.endpoint_url, _S3_TIMEOUT_S):
        raise OutsideError(f"S3 does not answer at {settings.endpoint_url}", hint=S3_HINT)
