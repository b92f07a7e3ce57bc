"""The example of the documentation, which everybody may read, is no record of the data."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from passerelle.serving.endpoint import ClassifyEndpoint
from passerelle.serving.pages.app import build_app
from passerelle.serving.runtime import Runtime
from passerelle.settings import ServiceSettings
from tests.unit.serving.models import text_pipeline, text_table, write_bento_model
from tests.unit.serving.test_endpoint import SECRET, ask


def test_a_record_of_the_data_that_was_logged_as_the_example_is_not_shown(tmp_path: Path) -> None:
    table = pd.DataFrame({"text": [SECRET, *text_table()[0]["text"]]})
    folder = write_bento_model(tmp_path / "model", text_pipeline(), table)
    assert SECRET in json.loads((folder / "mlflow_model" / "input_example.json").read_text())["data"][0]
    runtime = Runtime(folder, ServiceSettings.read(access_log=False))
    runtime.load()
    app = ClassifyEndpoint(build_app(runtime), runtime=runtime)
    shown = [ask(app, "GET", path).text for path in ("/openapi.json", "/docs", "/model")]
    shown += [json.dumps(kind.model_json_schema(), ensure_ascii=False) for kind in (runtime.contract.record, runtime.contract.batch)]
    assert not [text for text in shown if SECRET in text]
    assert "Aucune réponse depuis trois mois" in shown[0]
