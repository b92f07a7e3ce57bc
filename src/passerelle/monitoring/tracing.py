"""Spans for OpenTelemetry, if an endpoint is set; otherwise nothing is imported."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

_ERROR = 500
_MEMBER = rb"[a-z0-9][a-z0-9_*/@-]{0,255}=[!-+\--<>-~]{1,256}"
#: W3C's Trace Context, sections 3.2 and 3.3. The library writes what it cannot read to the log, whoever sent it.
_FORMS = {
    "traceparent": re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"),
    "tracestate": re.compile(rb"(?=.{1,512}\Z)" + _MEMBER + rb"(?:[ \t]*,[ \t]*" + _MEMBER + rb"){0,31}"),
}


class RequestSpan:
    """The span of one request."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def answered(self, status: int) -> None:
        """Record the status of the answer."""
        from opentelemetry.trace import StatusCode  # noqa: PLC0415 - only where an endpoint is set

        self._span.set_attribute("http.response.status_code", status)
        if status >= _ERROR:
            self._span.set_status(StatusCode.ERROR)


class Tracing:
    """Sends a span for each request to a collector, in the background.

    Args:
        endpoint: Address of the collector, such as http://localhost:4318; spans go to its `/v1/traces` by OTLP over HTTP.
    """

    def __init__(self, endpoint: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - only where an endpoint is set
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - only where an endpoint is set
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - only where an endpoint is set
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - only where an endpoint is set

        # OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER and the like are read by the library itself.
        provider = TracerProvider(resource=Resource.create({"service.name": "passerelle"}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")))
        self._tracer: Tracer = provider.get_tracer("passerelle")

    @classmethod
    def of(cls, endpoint: str) -> Tracing | None:
        """Return tracing to this endpoint; None where there is none."""
        return cls(endpoint) if endpoint else None

    @contextmanager
    def span(self, method: str, route: str, headers: Mapping[bytes, bytes]) -> Iterator[RequestSpan]:
        """Return the span of a request, a child of the one that `traceparent` names; attributes are HTTP's semantic conventions."""
        from opentelemetry.trace import SpanKind  # noqa: PLC0415 - only where an endpoint is set
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415 - only where an endpoint is set

        given = {name: value.decode("ascii") for name, form in _FORMS.items() if form.fullmatch(value := headers.get(name.encode(), b""))}
        parent = TraceContextTextMapPropagator().extract(given)
        attributes = {"http.request.method": method, "http.route": route}
        with self._tracer.start_as_current_span(f"{method} {route}", context=parent, kind=SpanKind.SERVER, attributes=attributes) as span:
            yield RequestSpan(span)
