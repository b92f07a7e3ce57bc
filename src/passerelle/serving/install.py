"""Install the endpoint in BentoML's service, outside all of BentoML's middlewares."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from passerelle.serving.responses import App

if TYPE_CHECKING:
    from passerelle.serving.endpoint import ClassifyEndpoint


def install_endpoint(service: Any, endpoint_of: Callable[[App], ClassifyEndpoint]) -> None:
    """Let the endpoint answer first, before any of BentoML's middlewares; it passes on the requests that are not its own.

    `Service.add_asgi_middleware` would put it inside BentoML's timeout, which starts a task for each request and leaves a timer of a
    minute behind, and inside OpenTelemetry's wrapper. The worker calls `Service.to_asgi` to get the application.

    Args:
        service: The object that `bentoml.service` returned for a class.
        endpoint_of: Takes BentoML's application and returns the endpoint, which the server runs instead of it.
    """
    kind = type(service)

    class ServiceWithEndpoint(kind):  # type: ignore[misc, valid-type]
        """The same service, with the endpoint around its application."""

        __slots__ = ()

        def to_asgi(self, is_main: bool = True) -> App:
            # uvicorn would format a log line for each request; the endpoint writes the access log.
            access = logging.getLogger("uvicorn.access")
            access.handlers.clear()
            access.propagate = False
            endpoint = endpoint_of(super().to_asgi(is_main=is_main))
            speak_http(endpoint)
            return endpoint

    # The instance has slots, so that its method cannot be replaced; its class can.
    service.__class__ = ServiceWithEndpoint


def speak_http(endpoint: ClassifyEndpoint) -> None:
    """Let uvicorn run the endpoint's connections with limits; BentoML leaves the choice of the protocol to uvicorn's table."""
    # Only a worker has connections.
    from uvicorn.config import HTTP_PROTOCOLS  # noqa: PLC0415

    from passerelle.serving.connection_kind import connection_of  # noqa: PLC0415

    # The table's type is that of names; uvicorn takes a class as well, as it does for its own argument `http`.
    HTTP_PROTOCOLS["auto"] = connection_of(endpoint.head_limits, endpoint.refused, endpoint.drain)  # type: ignore[assignment]
