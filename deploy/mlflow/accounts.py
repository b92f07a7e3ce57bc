"""Who may do what in the stack's MLflow, beyond MLflow's own rules: the accounts of service and prober only read.

By MLflow's rules an account that may only read can still make experiments and registered models of its own.
"""

from flask import Response, request
from mlflow.server.auth import authenticate_request_basic_auth
from start import FOLLOWER, PROBER
from werkzeug.datastructures import Authorization

_READS = ("GET", "HEAD", "OPTIONS")


def authenticate() -> Authorization | Response:
    """Return who asks, as MLflow's own function does, or a refusal."""
    found: Authorization | Response = authenticate_request_basic_auth()
    if isinstance(found, Authorization) and found.username in (FOLLOWER, PROBER) and request.method not in _READS:
        return Response("this account reads the registry and writes nothing", status=403, mimetype="text/plain")
    return found
