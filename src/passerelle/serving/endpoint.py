"""The short path of a request: one ASGI class handles /classify and the whole contract, and passes other paths on."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import orjson

from passerelle.follow_settings import FollowSettings
from passerelle.log_settings import LogSettings
from passerelle.monitoring.access_log import AccessLog
from passerelle.monitoring.metrics import CONTENT_TYPE
from passerelle.monitoring.tracing import Tracing
from passerelle.names import CLASSIFY, CLASSIFY_BATCH, FEEDBACK, PREDICT, PREDICT_BATCH
from passerelle.serving.admission import Admission, UnfinishedError
from passerelle.serving.batch_reader import read_in_slices
from passerelle.serving.body import BodyReader, ClientLeft
from passerelle.serving.contract import RequestError
from passerelle.serving.documents import DOCUMENTS, Documents
from passerelle.serving.doors.dispatch import Doors, refusal
from passerelle.serving.drain import Drain
from passerelle.serving.feedback import ACCEPTED, feedback_of
from passerelle.serving.following.webhook import MAX_BODY_BYTES, webhooks_of
from passerelle.serving.golden_replays import GOLDEN_REPLAY, GoldenReplays, metric_of
from passerelle.serving.heads import MOST_UNWANTED_BYTES, HeadLimits
from passerelle.serving.recording import Recorder, prediction_log_of, write_until_shutdown
from passerelle.serving.request_checks import BATCHES, answering, check_media_type, check_method, check_task, request_id_of
from passerelle.serving.responses import JSON, SECURITY, App, Enveloped, Headers, Receive, Scope, Send, respond
from passerelle.serving.routes import METRICS, MODELS, PROBES, READYZ, UNKNOWN, UNREAD, WEBHOOK, Access, AnsweredBy, Route, route_of
from passerelle.serving.runtime import Runtime
from passerelle.serving.time_slices import ONE_TURN_BYTES
from passerelle.serving.worker_end import end_with_supervisor

if TYPE_CHECKING:
    from passerelle.model.loaded import LoadedModel
    from passerelle.serving.following.live_candidate import Answering

_INTERNAL = RequestError(500, "internal", "the service could not answer; the operator finds the cause by the request id")
_CLIENT_LEFT = 499
_ANSWERED = 200
#: The paths that answer records, those of batches first.
_ANSWERING = (CLASSIFY_BATCH, PREDICT_BATCH, CLASSIFY, PREDICT)


class ClassifyEndpoint:
    """Answers the routes of the contract; BentoML's application answers the rest.

    Args:
        app: BentoML's application, with the pages in it: it answers the routes that are not the endpoint's own.
        runtime: The model and its contract.

    Attributes:
        head_limits: What the connections allow.
        drain: Whether the worker is about to end.
    """

    def __init__(self, app: App, *, runtime: Runtime) -> None:
        # Only a worker has an endpoint; the process that starts the workers does without the rate limits' library.
        from passerelle.serving.access import AccessControl  # noqa: PLC0415

        settings = runtime.settings
        self._app = app
        self._documents = Documents(app)
        self._runtime = runtime
        self._metrics = runtime.metrics
        self._log = AccessLog(enabled=settings.access_log)
        self._access = AccessControl(settings)
        self._predictions = runtime.prediction_log = prediction_log_of(LogSettings.read(), runtime.metrics.registry)
        self._feedback = feedback_of(runtime, self._predictions)
        self._bodies = BodyReader(settings.max_body_bytes, settings.body_timeout_s)
        self._webhooks = webhooks_of(FollowSettings.read())
        self._webhook_bodies = BodyReader(MAX_BODY_BYTES, settings.body_timeout_s)
        self._admission = Admission(settings.max_in_flight)
        self._open_doors = frozenset(settings.doors.split(","))
        self._doors = Doors(runtime, self._bodies, self._admission, self._predictions)
        self._tracing = Tracing.of(settings.otlp_endpoint)
        self.drain = Drain()
        self.head_limits = HeadLimits(settings.max_head_bytes, settings.head_timeout_s, max(settings.max_body_bytes, MOST_UNWANTED_BYTES))
        self._in_flight = 0
        self._metrics.sample(lambda: (self._in_flight, self._admission.waiting + runtime.queued))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                self._metrics.keep_sampling()
                self.drain.watch()
                end_with_supervisor()
                send = send if self._predictions is None else write_until_shutdown(self._predictions, send)
            await self._app(scope, receive, send)
            return
        route = route_of(scope["path"], self._open_doors)
        if self._tracing is None:
            await self._answer(route, scope, receive, send)
            return
        with self._tracing.span(scope["method"], route.metric, dict(scope["headers"])) as span:
            span.answered(await self._answer(route, scope, receive, send))

    async def _answer(self, route: Route, scope: Scope, receive: Receive, send: Send) -> int:
        """Answer one request and return the status."""
        began = self.drain.last_request = time.perf_counter()
        headers = dict(scope["headers"])
        request_id = request_id_of(headers)
        # Decides which version answers, where there is a candidate and the client names no key.
        headers[b"x-request-id"] = request_id.encode()
        self._in_flight += 1
        rate_limit: Headers = []
        try:
            key_name, rate_limit = self._admitted(route, scope, headers)
            check_method(route, scope["method"])
            if route.answered_by is AnsweredBy.ENDPOINT:
                answer = self._respond if route.door is None else self._doors.answer
                status, body, kind = await answer(route, scope["path"], headers, receive, key_name)
            else:
                status, body, kind = await self._by_application(scope, receive, send, request_id), None, JSON
        except RequestError as refused:
            status, rate_limit = refused.status, [*rate_limit, *refused.headers]
            body, kind = refusal(route, refused, request_id), JSON
        except ClientLeft:
            self._metrics.answered(route.metric, _CLIENT_LEFT, time.perf_counter() - began, route.door)
            return _CLIENT_LEFT
        except Exception as error:  # noqa: BLE001 - the boundary: a client never sees what went wrong inside, and the log no text
            status, body, kind = 500, refusal(route, _INTERNAL, request_id), JSON
            print(f"request {request_id} failed: {type(error).__name__} in {_place(error)}", file=sys.stderr)  # noqa: T201
        finally:
            self._in_flight -= 1
        if body is not None:
            await respond(send, status, body, [kind, (b"x-request-id", request_id.encode()), *SECURITY, *rate_limit, *self.drain.headers])
        seconds = time.perf_counter() - began
        metric = metric_of(route.metric, headers)
        self._metrics.answered(metric, status, seconds, route.door)
        if status == _ANSWERED and route.path in PROBES:
            return status  # asked each second or so, it would fill the log
        traceparent = headers.get(b"traceparent")
        self._log.write(scope["method"], metric, status, seconds, request_id=request_id, traceparent=traceparent, door=route.door)
        return status

    def refused(self, status: int, request_id: str) -> None:
        """Count a request that was refused before it could be read."""
        self._metrics.answered(UNREAD, status, 0.0)
        self._log.write("-", UNREAD, status, 0.0, request_id=request_id)

    def _admitted(self, route: Route, scope: Scope, headers: dict[bytes, bytes]) -> tuple[str, Headers]:
        """Return the name of the client's key, and the headers of an answer to this client.

        Raises:
            RequestError: The client may not ask.
        """
        opened = route.access is Access.METRICS and self._runtime.settings.metrics_public
        server, client = scope.get("server"), scope.get("client")
        if route.access is Access.OPEN and route.path not in PROBES:
            self._access.check_names(server, headers, client)
        if route.access in (Access.OPEN, Access.SIGNED) or opened:
            return "", []
        return self._access.admit(server, headers, route.right, client=client, all_headers=scope["headers"])

    async def _respond(
        self, route: Route, path: str, headers: dict[bytes, bytes], receive: Receive, key_name: str
    ) -> tuple[int, bytes, tuple[bytes, bytes]]:
        """Return the status and the body of an answer, and its media type.

        Raises:
            RequestError: The request is not acceptable.
        """
        if route is UNKNOWN:
            raise RequestError(404, "not_found", "there is nothing at this path; /docs shows what there is")
        if route.path in _ANSWERING:
            check_task(self._runtime, route.path)
            return 200, await self._answered(self._runtime, headers, receive, key_name, batch=route.path in BATCHES), JSON
        if route.path == MODELS:
            runtime, batch = self._of_another_model(path)
            return 200, await self._answered(runtime, headers, receive, key_name, batch=batch), JSON
        if route.path in (FEEDBACK, WEBHOOK):
            accepted = self._notified(headers, receive) if route.path == WEBHOOK else self._corrected(headers, receive, key_name)
            return 202, await accepted, JSON
        if route.path == METRICS:
            return 200, await self._metrics.rendered(), (b"content-type", CONTENT_TYPE.encode())
        if route.path == READYZ:
            readiness = self._runtime.readiness()
            return 200 if readiness["ready"] else 503, orjson.dumps(readiness), JSON
        return 200, b'{"live":true}', JSON

    def _of_another_model(self, path: str) -> tuple[Runtime, bool]:
        """Return what answers `/models/NAME/classify` or `/models/NAME/predict`, and whether it is asked for a batch.

        Raises:
            RequestError: 404 for a model that this service does not follow, or that does something else with a record.
        """
        end = next((each for each in _ANSWERING if path.endswith(each)), "")
        name = path.removeprefix(MODELS).removesuffix(end)
        if not end or path != f"{MODELS}{name}{end}":
            raise RequestError(404, "not_found", "there is nothing at this path; /docs shows what there is")
        if name == self._runtime.registered_model and self._runtime.following is not None:
            runtime = self._runtime
        elif name in self._runtime.others:
            runtime = self._runtime.others[name]
        else:
            raise RequestError(404, "not_found", "this service follows no registered model of this name")
        check_task(runtime, end, f"{MODELS}{name}")
        return runtime, end in BATCHES

    async def _answered(self, runtime: Runtime, headers: dict[bytes, bytes], receive: Receive, key_name: str, *, batch: bool) -> bytes:
        check_media_type(headers)
        least = headers.get(b"x-least-model-version")
        if runtime.model is None or least is not None:
            answering(runtime, headers, least)  # without a model there may be no contract to check a body against
        self._admission.check(long=batch, batch=batch)
        body = await self._bodies.read(headers, receive, batch=batch)
        recorder = None if self._predictions is None else Recorder(self._predictions, key_name, time.perf_counter(), batch)
        # A body that is read at once needs only one turn; others must leave room for those.
        long = batch or len(body) > ONE_TURN_BYTES
        self._admission.enter(long=long, batch=batch)
        unfinished: UnfinishedError | None = None
        try:
            await self._admission.turn()
            model, by = answering(runtime, headers, least)
            by = by if GOLDEN_REPLAY not in headers else GoldenReplays(runtime, by, headers)
            if batch:
                return await self._batch(runtime, by, model, body, recorder)
            if long:
                record, params = await runtime.predictor.slices.run(runtime.contract.read_one_in_slices(body))
                return orjson.dumps(await by.classify(record, model, recorder, params))
            began = time.perf_counter()
            try:
                record, params = runtime.contract.read_one(body)
                return orjson.dumps(await by.classify(record, model, recorder, params))
            finally:
                self._admission.spent(time.perf_counter() - began)
        except UnfinishedError as late:
            unfinished = late
            late.work.add_done_callback(lambda _: self._admission.leave(long=long, batch=batch))
            raise
        finally:
            if unfinished is None:
                self._admission.leave(long=long, batch=batch)

    async def _corrected(self, headers: dict[bytes, bytes], receive: Receive, key_name: str) -> bytes:
        if self._feedback is None:
            raise RequestError(404, "not_found", "this service keeps no prediction log, and so no feedback")
        check_media_type(headers)
        return await self._feedback.answer(headers, receive, key_name)

    async def _notified(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """Let the registry be polled at once where this is a delivery of MLflow's webhook; what it says of a version counts for nothing."""
        webhooks, poll_now = self._webhooks, self._runtime.poll_now
        if webhooks is None:
            raise RequestError(404, "not_found", "this service takes no webhook; it polls")
        check_media_type(headers)
        if poll_now is None:
            raise RequestError(503, "not_ready", "this service does not poll yet", headers=((b"retry-after", b"1"),))
        delivery = webhooks.begin(headers)
        webhooks.check(delivery, await self._webhook_bodies.read(headers, receive))
        poll_now()
        return ACCEPTED

    async def _batch(self, runtime: Runtime, by: Answering, model: LoadedModel, body: bytes, recorder: Recorder | None) -> bytes:
        """Return the answer to a batch; to read it, and to write the answer, holds the event loop for a slice each."""
        slices = runtime.predictor.slices
        records, params = await slices.run(read_in_slices(runtime.contract, body))
        answer = await by.classify_batch(records, model, recorder, params)
        return await slices.once(lambda: orjson.dumps(answer))

    async def _by_application(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> int:
        """Let BentoML's application answer, and return the status."""
        enveloped = Enveloped(send, request_id)
        # The server leaves out the body of an answer to HEAD; FastAPI would not answer it at all.
        scope = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        if (given := dict(scope["headers"]).get(b"range")) is not None and not given.lower().startswith(b"bytes="):
            # A unit that is not known is ignored: RFC 9110, section 14.2.
            scope = {**scope, "headers": [each for each in scope["headers"] if each[0] != b"range"]}
        if scope["path"] in DOCUMENTS:
            await self._documents.answer(self._runtime.model, scope, receive, enveloped)
        else:
            await self._app(scope, receive, enveloped)
        return enveloped.status


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace else "nowhere"
