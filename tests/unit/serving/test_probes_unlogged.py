"""A probe each second leaves no line in the access log, unless it fails."""

from __future__ import annotations

import json
from pathlib import Path

from passerelle.monitoring.access_log import AccessLog
from passerelle.serving.endpoint import ClassifyEndpoint
from passerelle.serving.pages.app import build_app
from passerelle.serving.runtime import Runtime
from passerelle.settings import ServiceSettings
from tests.unit.serving.models import text_bento_model
from tests.unit.serving.test_endpoint import ask


def test_probes_that_are_answered_do_not_fill_the_access_log(tmp_path: Path) -> None:
    runtime = Runtime(text_bento_model(tmp_path / "test"), ServiceSettings.read(access_log=False))
    app = ClassifyEndpoint(build_app(runtime), runtime=runtime)
    with (tmp_path / "log").open("wb") as file:
        app._log = AccessLog(descriptor=file.fileno())
        ask(app, "GET", "/readyz")
        runtime.load()
        for path in ("/livez", "/readyz", "/healthz", "/metrics", "/model"):
            assert ask(app, "GET", path).status_code == 200
        app._log.flush()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [(line["route"], line["status"]) for line in lines] == [("/readyz", 503), ("/model", 200)]
