"""Where the endpoint stands in BentoML's service: in front of all of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from passerelle.serving.responses import App

if TYPE_CHECKING:
    from passerelle.serving.endpoint import ClassifyEndpoint


def put_in_front(service: Any, front: Callable[[App], ClassifyEndpoint]) -> None:
    """Let `front` answer first, before any of BentoML's own middlewares; it hands on what it does not answer.

    `Service.add_asgi_middleware` would put it behind BentoML's timeout, which starts a task for each request and leaves a timer of a
    minute behind, and behind OpenTelemetry's wrapper. `Service.to_asgi` is what the worker calls to get the application.

    Args:
        service: What `bentoml.service` made of a class.
        front: Takes BentoML's application, returns the one that the server runs.
    """
    kind = type(service)

    class Fronted(kind):  # type: ignore[misc, valid-type]
        """The same service, with something in front of its application."""

        __slots__ = ()

        def to_asgi(self, is_main: bool = True) -> App:
            # uvicorn formats a line a request for a logger that nobody reads; ours is the endpoint's.
            access = logging.getLogger("uvicorn.access")
            access.handlers.clear()
            access.propagate = False
            endpoint = front(super().to_asgi(is_main=is_main))
            speak_http(endpoint)
            return endpoint

    # The instance has slots, so that its method cannot be replaced; its class can.
    service.__class__ = Fronted


def speak_http(endpoint: ClassifyEndpoint) -> None:
    """Let uvicorn run the endpoint's connections with limits; BentoML leaves the choice of the protocol to uvicorn's table."""
    # Only a worker has connections.
    from uvicorn.config import HTTP_PROTOCOLS  # noqa: PLC0415

    from passerelle.serving.connection import connection_of  # noqa: PLC0415

    # The table's type is that of names; uvicorn takes a class as well, as it does for its own argument `http`.
    HTTP_PROTOCOLS["auto"] = connection_of(endpoint.head_limits, endpoint.refused)  # type: ignore[assignment]
