"""Spans reach a real OTLP endpoint once its address is set, as children of the caller's, and hold no text."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.service_fixtures import ServedModel, serve

pytestmark = [pytest.mark.e2e, pytest.mark.integration]

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
SECRET = "monsecretadressé"


class Collector(ThreadingHTTPServer):
    """Takes what OTLP exporters post, as a collector does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.bodies: list[bytes] = []

    def spans(self) -> list[Any]:
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [span for each in requests for resource in each.resource_spans for scope in resource.scope_spans for span in scope.spans]


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/v1/traces" and isinstance(self.server, Collector):
            import gzip

            self.server.bodies.append(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_span_a_request_reaches_the_collector(collector: Collector, served: ServedModel) -> None:
    with serve(served.bentoml_home, otlp_endpoint=f"http://127.0.0.1:{collector.server_port}") as service:
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        assert httpx.post(service.address + "/classify", json={"text": SECRET}, headers=headers).status_code == 200
        assert httpx.post(service.address + "/classify", json={"text": 1}, headers=headers).status_code == 422
        assert httpx.get(service.address + "/nothing").status_code == 404
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline and len(collector.spans()) < 3:
            time.sleep(0.1)
    ours = [span for span in collector.spans() if span.trace_id.hex() == TRACE]
    found = [({each.key: each.value.string_value or each.value.int_value for each in span.attributes}, span) for span in ours]
    statuses = sorted(attributes["http.response.status_code"] for attributes, _ in found)
    assert statuses == [200, 422]
    for attributes, span in found:
        assert span.name == "POST /classify"
        assert span.parent_span_id.hex() == PARENT
        assert attributes["http.route"] == "/classify"
        assert span.end_time_unix_nano > span.start_time_unix_nano
    assert not any(SECRET.encode() in body for body in collector.bodies)


def test_nothing_of_opentelemetry_is_loaded_for_us_where_no_address_is_set() -> None:
    from passerelle.monitoring.tracing import Tracing

    assert Tracing.of("") is None
