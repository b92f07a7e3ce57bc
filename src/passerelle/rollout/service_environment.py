"""The environment of a service on this machine: where its log lies, and nothing by which the registry is reached unless it follows that."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from passerelle.follow_settings import FollowSettings
from passerelle.log_settings import LOG_FOLDER, LogSettings
from passerelle.platform.private_file import private_key
from passerelle.settings import ServiceSettings, variable_of

_REGISTRY = ("MLFLOW_", "AWS_", "PASSERELLE_S3_", "PASSERELLE_TRACKING_URI")
#: How MLflow is read; what else begins so is for training and for S3.
_READS = tuple(
    f"MLFLOW_TRACKING_{name}"
    for name in ("URI", "USERNAME", "PASSWORD", "TOKEN", "SERVER_CERT_PATH", "CLIENT_CERT_PATH", "INSECURE_TLS", "AUTH")
)
_FILES = ("follow_webhook_secret_file", "follow_password_file", "follow_ca_file", "follow_client_cert_file")


def service_environment(given: Mapping[str, str], state_dir: Path) -> dict[str, str]:
    """Return what of these variables a service gets, with a prediction log; where it follows, what reads MLflow, and its folder.

    Paths become absolute: the service runs in the state folder.
    """
    follow = FollowSettings.read(given)
    variables = {name: value for name, value in given.items() if not name.startswith(_REGISTRY)} | _log_paths(given, state_dir)
    if not follow.follow:
        return variables
    variables |= {name: given[name] for name in _READS if name in given}
    if "PASSERELLE_TRACKING_URI" in given:
        variables["MLFLOW_TRACKING_URI"] = given["PASSERELLE_TRACKING_URI"]
    for field in _FILES:
        path: Path | None = getattr(follow, field)
        if path is not None:
            variables[variable_of(FollowSettings, field)] = str(path.resolve())
    name = variable_of(FollowSettings, "follow_dir")
    variables[name] = str(follow.follow_dir.resolve() if name in given else state_dir.resolve() / "follow")
    return variables


def _log_paths(given: Mapping[str, str], state_dir: Path) -> dict[str, str]:
    """Return where the prediction log lies, in the state folder unless the variables say so: an empty one is none."""
    log = LogSettings.read(given)
    name, key_file = variable_of(LogSettings, "prediction_log"), log.log_digest_key_file
    paths = {name: str(Path(log.prediction_log).resolve() if name in given else state_dir.resolve() / LOG_FOLDER)}
    if name in given and not log.prediction_log:
        paths[name] = ""
    return paths if key_file is None else paths | {variable_of(LogSettings, "log_digest_key_file"): str(key_file.resolve())}


def with_digest_key(variables: Mapping[str, str], state_dir: Path) -> dict[str, str]:
    """Return the variables with a key of the records' digests, made on first use, where answers are recorded and no key is named.

    Raises:
        OutsideError: The key's file cannot be read or written, or holds something else.
    """
    log, path = LogSettings.read(variables), state_dir.resolve() / "log_digest_key"
    if not log.prediction_log or log.log_digest_key is not None or log.log_digest_key_file is not None:
        return dict(variables)
    path.parent.mkdir(parents=True, exist_ok=True)
    private_key(path)
    return {**variables, variable_of(LogSettings, "log_digest_key_file"): str(path)}


def log_identity(given: Mapping[str, str]) -> str:
    """Return what distinguishes a service that records in another way; empty for one that records as it does by default."""
    names = {variable_of(LogSettings, field) for field in LogSettings.model_fields}
    relevant = sorted((name, value) for name, value in given.items() if name in names)
    return "#" + hashlib.sha256(repr(relevant).encode()).hexdigest()[:16] if relevant else ""


def doors_identity(given: Mapping[str, str]) -> str:
    """Return what tells a service from one that answers other foreign protocols; empty for one that answers none."""
    doors = given.get(variable_of(ServiceSettings, "doors"))
    return "#" + ",".join(sorted(doors.split(","))) if doors else ""


def follow_identity(variables: Mapping[str, str]) -> str:
    """Return what tells a service that follows from one with other settings of it; empty for one that does not follow."""
    if not variables.get("PASSERELLE_FOLLOW"):
        return ""
    relevant = sorted((name, value) for name, value in variables.items() if name.startswith(("PASSERELLE_FOLLOW", "MLFLOW_TRACKING_")))
    return "#" + hashlib.sha256(repr(relevant).encode()).hexdigest()[:16]
