"""The people's side: the model card and the page that documents and tries the API."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from passerelle.serving.contract import Refusal
from passerelle.serving.openapi import openapi
from passerelle.serving.responses import envelope
from passerelle.serving.runtime import Runtime

# BentoML serves Swagger's files itself, so that the page needs no other host.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>passerelle · {title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="./static_content/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="./static_content/swagger-ui-bundle.js"></script>
<script>
SwaggerUIBundle({{url: "./openapi.json", dom_id: "#swagger-ui", tryItOutEnabled: true, deepLinking: true, defaultModelsExpandDepth: 0}});
</script>
</body>
</html>
"""


def build_app(runtime: Runtime) -> FastAPI:
    """Return the application for people, over the same runtime as the endpoint."""
    app = FastAPI(title="passerelle", docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(Refusal)
    async def refused(_: Request, refusal: Refusal) -> HTMLResponse:
        return HTMLResponse(envelope(refusal, "-"), status_code=refusal.status, media_type="application/json")

    @app.get("/model")
    async def model_card() -> JSONResponse:
        return JSONResponse(runtime.card())

    @app.get("/openapi.json")
    async def description() -> dict[str, Any]:
        return openapi(runtime.contract, runtime.description)

    @app.get("/docs")
    async def page() -> HTMLResponse:
        return HTMLResponse(_PAGE.format(title=runtime.folder.name))

    @app.get("/")
    async def start() -> RedirectResponse:
        return RedirectResponse("./docs")

    return app
