"""Answers the routes of foreign protocols: finds the model, and sends what is asked of it the way that every batch takes."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import orjson

from passerelle.names import MODEL_FOLDER
from passerelle.regular_file import MOST_MODEL_BYTES, read_regular_file
from passerelle.serving.admission import Admission
from passerelle.serving.body import BodyReader
from passerelle.serving.contract import RequestError
from passerelle.serving.doors.invocations import Invocations
from passerelle.serving.doors.open_inference import OpenInference, model_metadata, server_metadata
from passerelle.serving.doors.outputs import described_outputs, outputs_of
from passerelle.serving.doors.predict_v1 import PredictV1
from passerelle.serving.doors.question import Door, as_bad_request, checked
from passerelle.serving.recording import Recorder
from passerelle.serving.request_checks import answering
from passerelle.serving.responses import JSON, Receive, envelope
from passerelle.serving.routes import (
    INVOCATIONS,
    INVOKE,
    READY_END,
    V1,
    V1_LIST,
    V1_MODELS,
    V2,
    V2_LIVE,
    V2_MODELS,
    V2_READY,
    V2_SERVER,
    Route,
)
from passerelle.serving.routes import VERSION as VERSION_PATH
from passerelle.serving.runtime import Runtime
from passerelle.serving.time_slices import ONE_TURN_BYTES

if TYPE_CHECKING:
    from passerelle.model.loaded import LoadedModel
    from passerelle.monitoring.prediction_log.writer import PredictionLog
    from passerelle.serving.following.live_candidate import Answering

Answer = tuple[int, bytes, tuple[bytes, bytes]]
_DOORS: Mapping[str, Door] = {V1: PredictV1(), V2: OpenInference(), INVOCATIONS: Invocations()}
_OK, _NOT_FOUND, _NOT_READY = 200, 404, 503
_PING, _TEXT = b"\n", (b"content-type", b"text/plain; charset=utf-8")
_MLFLOW_VERSION = re.compile(rb"^mlflow_version: *['\"]?([\w.+-]{1,40})", re.MULTILINE)


def refusal(route: Route, refused: RequestError, request_id: str) -> bytes:
    """Return the body of a refusal, as the protocol of the route has it."""
    if route.door is None:
        return envelope(refused, request_id)
    place = f"{refused.field}: " if refused.field else ""
    return _DOORS[route.door].refusal(refused.status, place + refused.message)


class ModelTarget(NamedTuple):
    """The model that a request is for.

    Attributes:
        version: That the request names.
    """

    name: str
    runtime: Runtime
    version: str | None


class Doors:
    """The foreign protocols of one worker.

    Args:
        runtime: The model and its contract.
        bodies: Reads bodies within the limits of all requests.
        admission: Counts them with all requests.
        predictions: The prediction log, where there is one.
    """

    def __init__(self, runtime: Runtime, bodies: BodyReader, admission: Admission, predictions: PredictionLog | None) -> None:
        self._runtime = runtime
        self._bodies = bodies
        self._admission = admission
        self._predictions = predictions

    async def answer(self, route: Route, path: str, headers: dict[bytes, bytes], receive: Receive, key_name: str) -> Answer:
        """Return the status, the body and the media type of an answer.

        Raises:
            RequestError: The request is not acceptable, or there is nothing at its path.
        """
        assert route.door is not None  # noqa: S101 - the caller checked
        if "POST" in route.methods:
            return _OK, await self._predicted(_DOORS[route.door], self._model_of(path, route), headers, receive, key_name), JSON
        if route.door == INVOCATIONS:
            if route.path == VERSION_PATH:
                return _OK, self._mlflow_version(), _TEXT
            return (_OK if self._runtime.model else _NOT_FOUND), _PING, _TEXT
        status, content = self._of_server(route) or self._of_model(route, path)
        return status, orjson.dumps(content), JSON

    def _model_of(self, path: str, route: Route) -> ModelTarget:
        """Return the model that a path names.

        Raises:
            RequestError: 404 for a model that is not served here, and for a path that is none.
        """
        if route.path == INVOKE:
            return ModelTarget(self._runtime.registered_model, self._runtime, None)
        name, *version = path.removeprefix(route.path).removesuffix(route.end).split("/")
        runtime = self._runtime if name == self._runtime.registered_model else self._runtime.others.get(name)
        if version and (route.door != V2 or len(version) != 2 or version[0] != "versions"):  # noqa: PLR2004 - the word and the number
            raise RequestError(404, "not_found", "there is nothing at this path; /docs shows what there is")
        if not name or runtime is None:
            raise RequestError(404, "not_found", "no registered model of this name is served here; names are case-sensitive")
        return ModelTarget(name, runtime, version[1] if version else None)

    def _of_server(self, route: Route) -> tuple[int, object] | None:
        """Return what a GET that names no model answers; None for one that does."""
        ready = self._runtime.model is not None
        answers: dict[str, tuple[int, object]] = {
            V2_SERVER: (_OK, server_metadata()),
            V2_LIVE: (_OK, {"live": True}),
            V2_READY: (_OK if ready else _NOT_READY, {"ready": ready}),
            V1_LIST: (_OK, {"models": [self._runtime.registered_model, *self._runtime.others]}),
        }
        return answers.get(route.path)

    def _of_model(self, route: Route, path: str) -> tuple[int, object]:
        """Return what a GET that names a model answers.

        Raises:
            RequestError: As `_model_of`, and 503 for the metadata of a model that is not loaded.
        """
        asks_ready = route.path == V1_MODELS or path.endswith(READY_END)
        name, runtime, version = self._model_of(path.removesuffix(READY_END) if route.path == V2_MODELS else path, route)
        if asks_ready and runtime.model is None:
            return _NOT_READY, {"name": name, "ready": False}
        model = of_version(runtime.ready(), version)
        if asks_ready:
            return _OK, {"name": name, "ready": True}
        return _OK, model_metadata(name, model.version, runtime.description.columns, described_outputs(model.description, model.labels))

    async def _predicted(self, door: Door, target: ModelTarget, headers: dict[bytes, bytes], receive: Receive, key_name: str) -> bytes:
        door.check_media_type(headers)
        _chosen(target, headers)  # without a model there may be no contract to check a body against
        self._admission.check(long=False)
        began = time.perf_counter()
        body = await self._bodies.read(headers, receive, batch=not _is_small(headers))
        # As many records as fit into so small a body take no longer than one: clients of other servers send each record by itself.
        long = len(body) > ONE_TURN_BYTES
        with self._admission.place(long=long, batch=long):
            await self._admission.turn()
            try:
                return await self._translated(door, target, headers, body, (key_name, began))
            except RequestError as refused:
                raise as_bad_request(refused) from None

    async def _translated(
        self, door: Door, target: ModelTarget, headers: dict[bytes, bytes], body: bytes, client: tuple[str, float]
    ) -> bytes:
        model, by = _chosen(target, headers)
        runtime = target.runtime
        slices, contract = runtime.predictor.slices, runtime.contract
        question = await slices.run(door.read(body, headers, contract, runtime.description.columns))
        records, params = await slices.run(checked(question, contract))
        recorder = None if self._predictions is None else Recorder(self._predictions, *client, len(records) > 1)
        if len(records) == 1:
            answer = {"predictions": [await by.classify(records[0], model, recorder, params)]}
        else:
            answer = await by.classify_batch(records, model, recorder, params)
        identity = (target.name, str(answer["predictions"][0]["model_version"]))
        return await slices.once(lambda: door.written(outputs_of(answer), question, identity))

    def _mlflow_version(self) -> bytes:
        """Return the version of MLflow that wrote the bento's model, which is what `mlflow models serve` would run."""
        try:
            found = _MLFLOW_VERSION.search(read_regular_file(self._runtime.folder / MODEL_FOLDER / "MLmodel", MOST_MODEL_BYTES))
        except OSError:
            found = None
        return found[1] if found else b"unknown"


def of_version(model: LoadedModel, version: str | None) -> LoadedModel:
    """Return the model if it is of the version that a request names.

    Raises:
        RequestError: 404; another version never answers in its place.
    """
    if version is not None and version != model.version:
        raise RequestError(404, "version_not_served", "this version of the model is not the one that is served here")
    return model


def _chosen(target: ModelTarget, headers: dict[bytes, bytes]) -> tuple[LoadedModel, Answering]:
    """Return the model that answers, and what answers with it; a client that names a version takes no part in the trial of a candidate.

    Raises:
        RequestError: As `answering`, and 404 for another version than the one that is served.
    """
    if target.version is None:
        return answering(target.runtime, headers, headers.get(b"x-least-model-version"))
    return of_version(target.runtime.ready(), target.version), target.runtime


def _is_small(headers: dict[bytes, bytes]) -> bool:
    declared = headers.get(b"content-length", b"")
    return declared.isdigit() and len(declared) <= len(str(ONE_TURN_BYTES)) and int(declared) <= ONE_TURN_BYTES
