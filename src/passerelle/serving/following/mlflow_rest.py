"""MLflow's REST interface, read only: the calls that following needs, without MLflow's client."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from passerelle.follow_settings import FollowSettings
from passerelle.model.version_tags import unpacked
from passerelle.names import ADOPTION_RUN
from passerelle.serving.following.credentials import not_trusted, request_headers, shown_credentials
from passerelle.serving.following.failures import NotReachedError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

#: The largest answer of the REST interface that is read; one model version takes 2 KB.
_MOST_JSON_BYTES = 4_194_304
_CONNECT_S, _READ_S = 3.0, 10.0
_PIECE_BYTES = 65_536
_CONNECTIONS = 2
_STATUS = "passerelle status"


@dataclass(frozen=True)
class AliasedVersion:
    """The version that an alias points to, as MLflow describes it.

    Attributes:
        created: Unix time, in milliseconds.
    """

    registered_model: str
    version: int
    run_id: str
    created: int
    tags: Mapping[str, str]


@dataclass(frozen=True)
class FollowedRun:
    """What following needs of a run."""

    metrics: Mapping[str, float]
    params: Mapping[str, str]
    experiment_id: str


class MlflowRest:
    """One MLflow server, for as many threads at once as keep a connection.

    Args:
        settings: Its address and the right to read it.
    """

    def __init__(self, settings: FollowSettings) -> None:
        # Only a worker that follows a registry needs a client for HTTP.
        import urllib3  # noqa: PLC0415

        self._address = str(settings.follow_tracking_uri).rstrip("/")
        self._settings = settings
        client = str(settings.follow_client_cert_file) if settings.follow_client_cert_file else None
        self._pool = urllib3.PoolManager(
            maxsize=_CONNECTIONS,
            retries=False,
            timeout=urllib3.Timeout(connect=_CONNECT_S, read=_READ_S),
            ca_certs=str(settings.follow_ca_file) if settings.follow_ca_file else None,
            cert_file=client,
        )

    def aliased(self, registered_model: str, alias: str) -> AliasedVersion | None:
        """Return the version that the alias points to; None where the alias or the registered model does not exist.

        Raises:
            NotReachedError: The server does not answer, refuses the credentials, or answers with something else.
        """
        answer = self._json("registered-models/alias", name=registered_model, alias=alias)
        if answer is None:
            return None
        try:
            found = _object(answer["model_version"])
            tags = unpacked(_tags(found))
            created = int(str(found.get("creation_timestamp", 0)))
            run_id = tags.get(ADOPTION_RUN, str(found.get("run_id", "")))
            version = AliasedVersion(str(found["name"]), int(str(found["version"])), run_id, created, tags)
        except (KeyError, TypeError, ValueError) as error:
            raise self._nonsense("registered-models/alias") from error
        if version.registered_model != registered_model:
            raise self._nonsense("registered-models/alias")
        return version

    def has_model(self, registered_model: str) -> bool:
        """Return whether there is such a registered model.

        Raises:
            NotReachedError: As `aliased`.
        """
        return self._json("registered-models/get", name=registered_model) is not None

    def model_tags(self, registered_model: str) -> Mapping[str, str]:
        """Return the tags of the registered model itself; none where it does not exist.

        Raises:
            NotReachedError: As `aliased`.
        """
        answer = self._json("registered-models/get", name=registered_model)
        try:
            return _tags(_object(answer["registered_model"])) if answer is not None else {}
        except (KeyError, TypeError, ValueError) as error:
            raise self._nonsense("registered-models/get") from error

    def run(self, run_id: str) -> FollowedRun:
        """Return what a run holds.

        Raises:
            NotReachedError: As `aliased`; or there is no such run.
        """
        answer = self._json("runs/get", run_id=run_id) or {}
        try:
            run = _object(answer["run"])
            data = _object(run.get("data") or {})
            metrics = {str(each["key"]): float(str(each["value"])) for each in _objects(data.get("metrics", []))}
            params = {str(each["key"]): str(each["value"]) for each in _objects(data.get("params", []))}
            return FollowedRun(metrics, params, str(_object(run["info"])["experiment_id"]))
        except (KeyError, TypeError, ValueError) as error:
            raise self._nonsense("runs/get") from error

    def experiment_name(self, experiment_id: str) -> str:
        """Return the name of an experiment.

        Raises:
            NotReachedError: As `aliased`.
        """
        answer = self._json("experiments/get", experiment_id=experiment_id) or {}
        try:
            return str(_object(answer["experiment"])["name"])
        except (KeyError, TypeError) as error:
            raise self._nonsense("experiments/get") from error

    @contextlib.contextmanager
    def run_artifact(self, run_id: str, path: str) -> Iterator[Pieces]:
        """Stream an artifact of a run.

        Raises:
            NotReachedError: As `aliased`; or there is no such artifact.
        """
        with self._artifact("/get-artifact", path, run_id=run_id) as pieces:
            yield pieces

    @contextlib.contextmanager
    def model_file(self, registered_model: str, version: int, path: str) -> Iterator[Pieces]:
        """Stream a file of a version's model folder.

        Raises:
            NotReachedError: As `run_artifact`.
        """
        with self._artifact("/model-versions/get-artifact", path, name=registered_model, version=str(version)) as pieces:
            yield pieces

    @contextlib.contextmanager
    def _artifact(self, route: str, path: str, **query: str) -> Iterator[Pieces]:
        with self._answered(route, path=path, **query) as response:
            if response.status != 200:  # noqa: PLR2004 - MLflow says 500 of a file that is not there
                raise self._refused(response, f"the artifact {path}")
            yield Pieces(response, f"the artifact {path}")

    def _json(self, route: str, **query: str) -> dict[str, object] | None:
        """Return the answer of a route; None where what it asks for does not exist."""
        with self._answered(f"/api/2.0/mlflow/{route}", **query) as response:
            body = self._body(response, route)
            try:
                answer = json.loads(body)
            except (ValueError, RecursionError) as error:
                if response.status != 200:  # noqa: PLR2004
                    raise self._refused(response, route) from error
                raise self._nonsense(route) from error
            if response.status == 200 and isinstance(answer, dict):  # noqa: PLR2004
                return answer
            if isinstance(answer, dict) and _does_not_exist(answer):
                return None
            raise self._refused(response, route)

    def _body(self, response: BaseHTTPResponse, route: str) -> bytes:
        body = b"".join(_limited(Pieces(response, route), _MOST_JSON_BYTES))
        if len(body) > _MOST_JSON_BYTES:
            raise self._nonsense(route)
        return body

    @contextlib.contextmanager
    def _answered(self, route: str, **query: str) -> Iterator[BaseHTTPResponse]:
        import urllib3  # noqa: PLC0415 - as above
        from urllib3.exceptions import HTTPError, SSLError  # noqa: PLC0415 - as above

        try:
            address = f"{self._address}{route}"
            response = self._pool.request(
                "GET", address, fields=query, headers=request_headers(self._settings), preload_content=False, redirect=False
            )
        except SSLError as error:
            raise not_trusted(error) from error
        except (HTTPError, OSError, urllib3.exceptions.LocationValueError) as error:
            raise NotReachedError("unreachable", f"the MLflow server does not answer: {type(error).__name__}", hint=_STATUS) from error
        whole = False
        try:
            yield response
            whole = True
        finally:
            # What was not read to its end would be taken for the next answer.
            response.release_conn() if whole else response.close()

    def _refused(self, response: BaseHTTPResponse, what: str) -> NotReachedError:
        if response.status in (401, 403):
            given, hint = shown_credentials(self._settings)
            return NotReachedError("credentials", f"the MLflow server refuses {given} (HTTP {response.status}, {what})", hint=hint)
        return NotReachedError("server_error", f"the MLflow server answers HTTP {response.status} ({what})", hint=_STATUS)

    def _nonsense(self, route: str) -> NotReachedError:
        return NotReachedError("not_mlflow", f"the answer of {route} is not one of an MLflow server", hint=_STATUS)


class Pieces:
    """The body of an answer, in pieces of 64 KiB.

    Attributes:
        size_bytes: As the server announces it; None where it does not.
    """

    def __init__(self, response: BaseHTTPResponse, what: str) -> None:
        self._response = response
        self._what = what
        length = response.headers.get("content-length", "")
        self.size_bytes = int(length) if length.isdigit() else None

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.read(_PIECE_BYTES):
            yield piece

    def read(self, size: int = _PIECE_BYTES, /) -> bytes:
        """Return that many bytes, fewer at the end of the body.

        Raises:
            NotReachedError: The server or the connection broke off.
        """
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - as above

        try:
            return bytes(self._response.read(size))
        except (HTTPError, OSError) as error:
            raise NotReachedError("unreachable", f"{self._what} was broken off: {type(error).__name__}", hint=_STATUS) from error


def _limited(pieces: Pieces, most_bytes: int) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        yield piece
        size += len(piece)
        if size > most_bytes:
            return


def _does_not_exist(answer: Mapping[str, object]) -> bool:
    """Return whether MLflow says that an alias or a model does not exist; for an alias the status is 400, so the text decides."""
    code, message = answer.get("error_code"), str(answer.get("message", ""))
    return code == "RESOURCE_DOES_NOT_EXIST" or (code == "INVALID_PARAMETER_VALUE" and "alias" in message and "not found" in message)


def _object(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def _objects(value: object) -> list[Mapping[str, object]]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return [_object(each) for each in value]


def _tags(holder: Mapping[str, object]) -> dict[str, str]:
    return {str(tag["key"]): str(tag["value"]) for tag in _objects(holder.get("tags", []))}
