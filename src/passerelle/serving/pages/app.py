"""The pages for people: the model card and the page that documents and tries the API."""

from __future__ import annotations

import html
from importlib import resources
from string import Template
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from passerelle.serving.contract import RequestError
from passerelle.serving.doors.description import described
from passerelle.serving.pages.model_card import model_card
from passerelle.serving.responses import envelope
from passerelle.serving.runtime import Runtime


def build_app(runtime: Runtime) -> FastAPI:
    """Return the application for people, over the same runtime as the endpoint."""
    app = FastAPI(title="passerelle", docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(RequestError)
    async def refused(_: Request, refusal: RequestError) -> HTMLResponse:
        return HTMLResponse(envelope(refusal, "-"), status_code=refusal.status, media_type="application/json")

    @app.get("/model")
    async def card() -> JSONResponse:
        return JSONResponse(model_card(runtime))

    @app.get("/openapi.json")
    async def description() -> dict[str, Any]:
        return dict(described(runtime))

    # BentoML serves Swagger's files itself, so that the page needs no other host.
    template = Template((resources.files("passerelle.serving.pages") / "docs.html").read_text(encoding="utf-8"))

    @app.get("/docs")
    async def page() -> HTMLResponse:
        version = "" if runtime.model is None else f", version {runtime.model.version}"
        return HTMLResponse(template.substitute(title=html.escape(runtime.registered_model + version)))

    @app.get("/")
    async def start() -> RedirectResponse:
        return RedirectResponse("./docs")

    return app
