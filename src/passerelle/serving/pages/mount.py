"""Mounts the pages for people in BentoML's service."""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette
from starlette.routing import Route

from passerelle.serving.responses import App, Receive, Scope, Send
from passerelle.serving.routes import ROUTES, AnsweredBy
from passerelle.serving.runtime import Runtime


def mounted(runtime: Runtime) -> Starlette:
    """Return the application for BentoML to mount; BentoML answers the paths that are not in it."""
    pages = PeoplesPages(runtime)
    return Starlette(routes=[Route(route.path, pages) for route in ROUTES if route.answered_by is AnsweredBy.PAGES])


class PeoplesPages:
    """The application for people, made at the first request for a page: a worker is ready without it.

    What fails while it is made, as where no file can be opened, is tried again at the next request.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._app: asyncio.Future[App] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._app is None:
            self._app = asyncio.ensure_future(asyncio.to_thread(_application, self._runtime))
        try:
            app = await asyncio.shield(making := self._app)
        except Exception:
            if self._app is making:
                self._app = None
            raise
        await app(scope, receive, send)


def _application(runtime: Runtime) -> App:
    # FastAPI takes a third of a second to import; in a thread, others are answered meanwhile.
    from passerelle.serving.pages.app import build_app  # noqa: PLC0415

    return build_app(runtime)
