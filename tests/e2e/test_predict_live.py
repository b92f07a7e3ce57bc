"""The live service of an adopted model that is no classifier, with its real process."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from passerelle.model.hosted import HostedModel
from tests.adopted_models import write_evidence, write_pickled
from tests.service_fixtures import ServedModel, serve

pytestmark = [pytest.mark.e2e, pytest.mark.integration]

INPUTS: list[dict[str, Any]] = [
    {"name": "text", "type": "string"},
    {"name": "at", "type": "datetime"},
    {"name": "scan", "type": "binary"},
    {"name": "sizes", "type": "array", "items": {"type": "double"}},
    {"name": "rooms", "type": "integer", "required": False},
]
RECORD = {"text": "un grand merci", "at": "2026-11-26T12:00:00", "scan": "UGFyaXM=", "sizes": [1.5, 2.0], "rooms": 3}
TENSORS = [
    {"name": name, "datatype": datatype, "shape": [1, *shape], "data": [RECORD[name]]}
    for name, datatype, shape in [
        ("text", "BYTES", []),
        ("at", "BYTES", []),
        ("scan", "BYTES", []),
        ("sizes", "FP64", [2]),
        ("rooms", "INT32", []),
    ]
]
PARAMS = [{"name": "times", "type": "double", "default": 1.0, "shape": None}]
WORTH = 2026 + len("un grand merci") + len("Paris") + 3.5
ENVIRONMENT = {"adopted_pickles": "any", "model_python": sys.executable, "doors": "v1,v2,invocations"}


def regressor() -> object:
    """Return a model that adds up what it is given, which shows in what types; it is pickled by value."""

    class Adding:
        _estimator_type = "regressor"

        def predict(self, table: Any, times: float = 1.0) -> list[float]:
            return [
                times * float(at.year + len(text) + len(scan) + min(sum(sizes), 1e300))
                for text, at, scan, sizes in zip(table["text"], table["at"], table["scan"], table["sizes"], strict=True)
            ]

    return Adding()


@pytest.fixture(scope="module")
def predicting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedModel]:
    import bentoml
    from bentoml._internal.models.model import ModelStore

    store = tmp_path_factory.mktemp("predicting") / "bentoml"
    (store / "models").mkdir(parents=True)
    with bentoml.models.create("classification:1-00000000", _model_store=ModelStore(store / "models")) as model:
        folder = Path(model.path)
        adoption = write_pickled(folder, regressor(), inputs=INPUTS, params=PARAMS, task="regression", input_form="table")
        hosted = HostedModel(folder, adoption, python=Path(sys.executable))
        write_evidence(folder, hosted, [RECORD])
        hosted.close()
    with serve(store, **ENVIRONMENT) as running:
        yield running


def test_a_record_of_every_type_reaches_the_model_and_other_paths_name_this_one(predicting: ServedModel) -> None:
    answer = requests.post(f"{predicting.address}/predict", json=RECORD, timeout=30).json()
    assert (answer["prediction"], answer["model_version"]) == (WORTH, "1")
    batch = requests.post(f"{predicting.address}/predict/batch", json={"records": [RECORD, RECORD]}, timeout=30).json()
    assert [each["prediction"] for each in batch["predictions"]] == [WORTH] * 2
    wrong = requests.post(f"{predicting.address}/classify", json=RECORD, timeout=30)
    assert (wrong.status_code, wrong.json()["message"]) == (404, "the model is no classifier: send the request to /predict")
    card = requests.get(f"{predicting.address}/model", timeout=30).json()
    assert (card["task"], card["pickled"], card["adopted"]) == ("regression", True, True)
    assert set(requests.get(f"{predicting.address}/docs.json", timeout=30).json()["paths"]) >= {"/predict", "/predict/batch"}


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        ("/v1/models/test:predict", {"instances": [RECORD, RECORD]}, {"predictions": [WORTH] * 2}),
        ("/invocations", {"dataframe_records": [RECORD], "params": {"times": 2.0}}, {"predictions": [2 * WORTH]}),
        (
            "/v2/models/test/infer",
            {"inputs": TENSORS, "parameters": {"times": 2.0}},
            [{"name": "prediction", "datatype": "FP64", "shape": [1], "data": [2 * WORTH]}],
        ),
    ],
    ids=["v1", "invocations", "v2"],
)
def test_the_doors_give_the_same_number(predicting: ServedModel, path: str, body: Any, answer: Any) -> None:
    found = requests.post(f"{predicting.address}{path}", json=body, timeout=30)
    assert found.status_code == 200, found.text
    assert found.json().get("outputs", found.json()) == answer


def test_a_process_that_is_killed_is_started_again(predicting: ServedModel) -> None:
    hosts = [each for each in psutil.Process(predicting.child.pid).children(recursive=True) if "start.py" in " ".join(each.cmdline())]
    assert len(hosts) == 1
    os.kill(hosts[0].pid, signal.SIGKILL)
    statuses = [requests.post(f"{predicting.address}/predict", json=RECORD, timeout=30).status_code for _ in range(3)]
    assert set(statuses) <= {200, 503}
    assert statuses[-1] == 200
    assert requests.get(f"{predicting.address}/readyz", timeout=30).status_code == 200
    assert "un grand merci" not in predicting.child.log_path.read_text()
