"""Asks the two doors of service.py, the endpoint and BentoML's own methods behind it, the same, and prints both answers as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

from starlette.testclient import TestClient

import service
from passerelle.serving.endpoint import ClassifyEndpoint

RECORD = {"text": "aucune réponse depuis trois mois"}
ASKED: list[tuple[str, Any]] = [
    ("/classify", RECORD),
    ("/classify", {"text": "  Trottoir CASSÉ 🚲  "}),
    ("/classify/batch", {"records": [RECORD, {"text": "merci"}, {"text": "\u202eà l'envers\u0000"}]}),
]


def main() -> None:
    """Print what each door answers."""
    classifier: Any = service.Classifier
    app: Any = classifier.to_asgi()
    behind = app._app
    kinds = {"front": isinstance(app, ClassifyEndpoint), "behind": isinstance(behind, ClassifyEndpoint)}
    with TestClient(behind, base_url="http://127.0.0.1") as inner:
        outer = TestClient(app, base_url="http://127.0.0.1")
        answers = [[door.post(path, json=body).json() for door in (outer, inner)] for path, body in ASKED]
        described = inner.get("/docs.json").json()["paths"].keys()
    sys.stdout.write(json.dumps({"kinds": kinds, "answers": answers, "paths": sorted(described)}))


if __name__ == "__main__":
    main()
