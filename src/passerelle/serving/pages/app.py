"""The pages for people: one to try the model, one that documents the API, and the model card."""

from __future__ import annotations

import html
from importlib import resources
from string import Template
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from passerelle.serving.contract import RequestError
from passerelle.serving.doors.description import described
from passerelle.serving.pages.content_policy import policy_of
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
    async def card(request: Request) -> Response:
        # A browser that is sent here shows the card on the page, which asks for the JSON, with the API key where one is needed.
        if "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("./#card", status_code=303, headers={"vary": "Accept"})
        return JSONResponse(model_card(runtime), headers={"vary": "Accept"})

    @app.get("/openapi.json")
    async def description() -> dict[str, Any]:
        return dict(described(runtime))

    # BentoML serves Swagger's files itself, so that the page needs no other host.
    documentation, trial = _template("docs.html"), _template("start.html")

    @app.get("/docs")
    async def page() -> HTMLResponse:
        return _page(documentation, runtime)

    @app.get("/")
    async def start() -> HTMLResponse:
        return _page(trial, runtime)

    return app


def _template(name: str) -> Template:
    return Template((resources.files("passerelle.serving.pages") / name).read_text(encoding="utf-8"))


def _page(template: Template, runtime: Runtime) -> HTMLResponse:
    version = "" if runtime.model is None else f", version {runtime.model.version}"
    page = template.substitute(title=html.escape(runtime.registered_model + version))
    return HTMLResponse(page, headers={"content-security-policy": policy_of(page)})
