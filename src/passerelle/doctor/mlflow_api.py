"""The MLflow server, by what its API answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from passerelle.doctor.diagnosis import Diagnosis, Health, Surroundings, fine, not_used
from passerelle.errors import OutsideError, PasserelleError
from passerelle.follow_settings import FollowSettings
from passerelle.platform.state import starting
from passerelle.proxy_variables import past_proxy, through_proxy
from passerelle.registry.objects import Objects
from passerelle.registry.reachable import check_mlflow
from passerelle.settings import MlflowSettings

NAME = "MLflow"
_START = "passerelle up\nexport MLFLOW_TRACKING_URI=URL"
_SIGN_IN = "export MLFLOW_TRACKING_USERNAME=NAME MLFLOW_TRACKING_PASSWORD=PASSWORD"
_FOREIGN_HOST = "doctor.invalid"
_API = "/api/2.0/mlflow/"
_LONGEST_VERSION = 40
_WRONG_HOST = (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN)
_NOT_THIS_USER = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
#: One question for each kind of table; a database of another version has not all of their columns.
_TABLES: Mapping[str, tuple[str, str, Mapping[str, object]]] = {
    "experiments": ("POST", "experiments/search", {"max_results": 1}),
    "runs": ("POST", "runs/search", {"experiment_ids": ["0"], "max_results": 1}),
    "logged models": ("POST", "logged-models/search", {"experiment_ids": ["0"], "max_results": 1}),
    "registered models": ("GET", "registered-models/search", {"max_results": 1}),
    "model versions": ("GET", "model-versions/search", {"max_results": 1}),
}


class MlflowApi:
    """One MLflow server, asked without MLflow's own client and its retries, which take minutes."""

    def __init__(self, server: MlflowSettings, environment: Mapping[str, str]) -> None:
        self.address = server.tracking_uri.rstrip("/")
        self._timeout_s = min(server.timeout_s, 10.0)
        self._session = requests.Session()
        if environment.get("MLFLOW_TRACKING_TOKEN"):
            self._session.headers["Authorization"] = f"Bearer {environment['MLFLOW_TRACKING_TOKEN']}"
        elif environment.get("MLFLOW_TRACKING_USERNAME"):
            name, password = environment["MLFLOW_TRACKING_USERNAME"], environment.get("MLFLOW_TRACKING_PASSWORD", "")
            self._session.auth = (name, password)
        if environment.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() == "true":
            self._session.verify = False
        elif environment.get("MLFLOW_TRACKING_SERVER_CERT_PATH"):
            self._session.verify = environment["MLFLOW_TRACKING_SERVER_CERT_PATH"]

    def ask(self, method: str, path: str, given: Mapping[str, object], *, host: str | None = None) -> requests.Response:
        """Return the answer, whatever its status.

        Args:
            host: Sent as `Host` in place of the address's own.

        Raises:
            OutsideError: There is none.
        """
        headers = {"Host": host} if host else {}
        how: dict[str, Any] = {"params": given} if method == "GET" else {"json": given}
        try:
            return self._session.request(
                method, self.address + path, headers=headers, timeout=self._timeout_s, allow_redirects=False, **how
            )
        except requests.RequestException as error:
            message = f"MLflow at {self.address} broke off at {path}: {type(error).__name__}{through_proxy(self.address)}"
            raise OutsideError(message, hint=past_proxy(self.address, _START)) from error

    def answer(self, method: str, path: str, given: Mapping[str, object]) -> Mapping[str, Any]:
        """Return what a question of the API is answered with; nothing where it is refused."""
        response = self.ask(method, _API + path, given)
        try:
            content = response.json() if response.ok else {}
        except ValueError:
            return {}
        return content if isinstance(content, dict) else {}


def probe(here: Surroundings) -> Iterator[Diagnosis]:
    """Say what of the MLflow server is not as passerelle needs it."""
    if here.server is None and (pid := starting(here.state.state_dir)) is not None:
        message = f"the embedded platform is starting (process {pid}), and does not answer yet"
        yield Diagnosis(NAME, Health.NOT_TRIED, message, "passerelle doctor")
        return
    if here.server is None:
        yield Diagnosis(NAME, Health.FAULT, "no MLflow server is named, and the embedded platform does not run", hint=_START)
        return
    if not here.server.tracking_uri.startswith(("http://", "https://")):
        message = f"{here.server.tracking_uri} is no server: nobody else sees it, and nothing follows it"
        yield Diagnosis(NAME, Health.WARNING, message, hint=_START)
        return
    check_mlflow(here.server)
    api = MlflowApi(here.server, here.environment)
    yield _version(api)
    refused = _refused(api)
    if refused is not None:
        yield refused
        return
    yield _hosts(api)
    yield _schema(api)
    yield _webhooks(api, here)
    yield _artifacts(api, here)


def _version(api: MlflowApi) -> Diagnosis:
    ours, answer = version("mlflow"), api.ask("GET", "/version", {})
    theirs = answer.text.strip()
    if not answer.ok or not theirs[:1].isdigit() or len(theirs) > _LONGEST_VERSION:
        return Diagnosis(NAME, Health.WARNING, f"{api.address} does not say its version: another program, or a proxy, answers there")
    if theirs.partition(".")[0] != ours.partition(".")[0]:
        message = f"the server is MLflow {theirs}, and the client here {ours}: their APIs differ"
        return Diagnosis(NAME, Health.FAULT, message, hint=f"pip install 'mlflow=={theirs}'")
    return fine(NAME, f"{theirs} answers at {api.address}; the client here is {ours}")


def _refused(api: MlflowApi) -> Diagnosis | None:
    """Return why the API does not answer to this user or under this name; None where it does."""
    method, path, given = _TABLES["experiments"]
    answer = api.ask(method, _API + path, given)
    if "Host" in answer.text[:300] and answer.status_code in _WRONG_HOST:
        host = urlsplit(api.address).netloc
        message = f"it refuses the name {host}, by which it is reached from here"
        return Diagnosis("MLflow hosts", Health.FAULT, message, hint=f"export MLFLOW_SERVER_ALLOWED_HOSTS={host}; mlflow server")
    if answer.status_code in _NOT_THIS_USER:
        return Diagnosis("MLflow user", Health.FAULT, f"it refuses this user ({answer.status_code})", hint=_SIGN_IN)
    return None


def _hosts(api: MlflowApi) -> Diagnosis:
    name = "MLflow hosts"
    method, path, given = _TABLES["experiments"]
    if api.ask(method, _API + path, given, host=_FOREIGN_HOST).ok:
        message = "it answers under any name, so that a page in somebody's browser may ask it (DNS rebinding)"
        host = urlsplit(api.address).netloc
        return Diagnosis(name, Health.WARNING, message, hint=f"export MLFLOW_SERVER_ALLOWED_HOSTS={host}; mlflow server")
    return fine(name, "it answers under its own names alone")


def _schema(api: MlflowApi) -> Diagnosis:
    name = "MLflow schema"
    statuses = {table: api.ask(method, _API + path, given).status_code for table, (method, path, given) in _TABLES.items()}
    failed = [table for table, status in statuses.items() if status >= HTTPStatus.INTERNAL_SERVER_ERROR]
    unknown = [table for table, status in statuses.items() if status == HTTPStatus.NOT_FOUND]
    if failed:
        message = f"the server fails at {', '.join(failed)}: its database may be of another version of MLflow"
        return Diagnosis(name, Health.FAULT, message, hint="mlflow db upgrade DATABASE_URI")
    if unknown:
        return Diagnosis(
            name, Health.FAULT, f"the server does not know {', '.join(unknown)}: it is too old", hint="pip install 'mlflow>=3'"
        )
    return fine(name, f"all {len(statuses)} kinds of tables answer")


def _webhooks(api: MlflowApi, here: Surroundings) -> Diagnosis:
    name = "MLflow webhooks"
    if not FollowSettings.read(here.environment).follow_webhook:
        return not_used(name, "no webhook is asked for; services that follow ask at intervals")
    answer = api.ask("GET", _API + "webhooks", {})
    hint = "passerelle up\npasserelle deploy --target compose"
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return Diagnosis(name, Health.FAULT, "this MLflow knows no webhooks: they came with 3.3", hint="pip install 'mlflow>=3.3'")
    if not answer.ok:
        return Diagnosis(name, Health.FAULT, f"it does not list its webhooks to this user ({answer.status_code})", hint=_SIGN_IN)
    listed = api.answer("GET", "webhooks", {}).get("webhooks", ())
    active = [each for each in listed if each.get("status") == "ACTIVE"]
    if not active:
        return Diagnosis(name, Health.WARNING, f"none of {len(listed)} is active; services that follow ask at intervals", hint=hint)
    return fine(name, f"{len(active)} {'is' if len(active) == 1 else 'are'} active")


def _artifacts(api: MlflowApi, here: Surroundings) -> Diagnosis:
    name = "MLflow artifacts"
    experiment = here.server.experiment if here.server else ""
    found = api.answer("GET", "experiments/get-by-name", {"experiment_name": experiment}).get("experiment", {})
    place = str(found.get("artifact_location", ""))
    if not place:
        return Diagnosis(name, Health.NOT_TRIED, f"there is no experiment '{experiment}' yet", hint="passerelle train")
    parts = urlsplit(place)
    if parts.scheme == "s3":
        return _in_bucket(name, parts.netloc, parts.path.lstrip("/"), here)
    if parts.scheme == "mlflow-artifacts":
        answer = api.ask("GET", "/api/2.0/mlflow-artifacts/artifacts", {"path": ""})
        message = f"those of '{experiment}' come through the server ({answer.status_code})"
        return fine(name, message) if answer.ok else Diagnosis(name, Health.FAULT, f"{message}: it refuses them", hint=_SIGN_IN)
    if parts.scheme in ("", "file") and Path(parts.path).exists():
        return Diagnosis(name, Health.WARNING, f"those of '{experiment}' lie in {place}, which this machine alone sees")
    return Diagnosis(name, Health.FAULT, f"those of '{experiment}' lie in {place}, which is not reached from here")


def _in_bucket(name: str, bucket: str, prefix: str, here: Surroundings) -> Diagnosis:
    if bucket != here.s3.bucket:
        message = f"they lie in the bucket {bucket}, and the setting names {here.s3.bucket}"
        return Diagnosis(name, Health.FAULT, message, hint=f"export PASSERELLE_S3_BUCKET={bucket}")
    try:
        count = len(Objects(here.s3).keys(prefix, most=1))
    except PasserelleError as error:
        return Diagnosis(
            name, Health.FAULT, f"they lie in s3://{bucket}/{prefix}, which is not read from here: {error.message}", error.hint
        )
    return fine(name, f"s3://{bucket}/{prefix} is read from here" + ("" if count else ", and holds nothing yet"))
