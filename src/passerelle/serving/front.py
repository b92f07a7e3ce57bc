"""Where the endpoint stands in BentoML's service: in front of all of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from passerelle.serving.answer import App


def put_in_front(service: Any, front: Callable[[App], App]) -> None:
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
            return front(super().to_asgi(is_main=is_main))

    # The instance has slots, so that its method cannot be replaced; its class can.
    service.__class__ = Fronted
