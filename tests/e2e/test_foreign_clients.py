"""The service with its foreign protocols on, asked by the real clients of other servers, and held to its own description."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests
from mlflow.deployments import get_deploy_client
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

from passerelle.serving.routes import route_of
from tests.client_environments import client_python, is_complete
from tests.e2e.test_contract_live import ran
from tests.service_fixtures import ServedModel, serve

pytestmark = [pytest.mark.e2e, pytest.mark.integration]

HERE = Path(__file__).parent
TEXTS, LABELS = ["un grand merci", "trottoir cassé"], ["merci", "voirie"]


@pytest.fixture(scope="module")
def open_service(bentoml_home: Path) -> Iterator[ServedModel]:
    with serve(bentoml_home, doors="v1,v2,invocations") as running:
        yield running


def test_mlflows_own_client_is_answered(open_service: ServedModel) -> None:
    host, port = open_service.address.removeprefix("http://").split(":")
    client = ScoringServerClient(host, port)
    client.wait_server_ready()
    assert client.get_version()[0].isdigit()
    answer = client.invoke(pd.DataFrame({"text": TEXTS}))
    assert answer.get_predictions()[0].tolist() == LABELS
    assert len(answer["probabilities"]) == 2
    with pytest.raises(Exception, match=r"error code 400, response: .*BAD_REQUEST"):
        client.invoke(pd.DataFrame({"texte": TEXTS}))
    with pytest.raises(Exception, match=r"error code 400.*params"):
        client.invoke(pd.DataFrame({"text": TEXTS}), params={"top": 3})
    gateway = get_deploy_client(open_service.address)
    asked = gateway.predict(endpoint="test", inputs={"dataframe_records": [{"text": TEXTS[0]}]})
    assert asked["predictions"] == LABELS[:1]


def needed(client: str) -> Path:
    python = client_python(client)
    if not is_complete(python):
        pytest.skip("the environments of other servers' clients are missing: .venv/bin/python -m tests.client_environments")
    return python


def asked_with(client: str, service: ServedModel) -> dict[str, Any]:
    command = [str(needed(client)), str(HERE / "foreign_clients.py"), client, service.address, "test"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.clients
def test_tritonclient_is_answered(open_service: ServedModel) -> None:
    got = asked_with("tritonclient", open_service)
    assert got["ready"] == [True, True, True, True, False, False]
    assert got["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1, 1]}]
    assert got["binary True"] == got["binary False"] == LABELS
    assert all(0.5 < each < 1 for each in got["probabilities"])
    assert got["refused"] == ["404", "this version of the model is not the one that is served here"]


@pytest.mark.clients
def test_kserves_sdk_is_answered(open_service: ServedModel) -> None:
    got = asked_with("kserve", open_service)
    assert got["ready"] == [True, True, True, True]
    assert got["v2"] == got["v1"] == LABELS


@pytest.mark.clients
def test_mlservers_batch_client_is_answered(open_service: ServedModel, tmp_path: Path) -> None:
    inputs = [{"name": "text", "shape": [2, 1], "datatype": "BYTES", "data": TEXTS}]
    single = [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["aucune réponse"], "parameters": {"content_type": "str"}}]
    questions, answers = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    questions.write_text("".join(json.dumps({"inputs": each}) + "\n" for each in (inputs, single)))
    options = ["-u", open_service.address.removeprefix("http://"), "-m", "test", "-i", str(questions), "-o", str(answers), "-s", "2"]
    done = subprocess.run([str(needed("mlserver").with_name("mlserver")), "infer", *options], capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    written = [json.loads(line) for line in answers.read_text().splitlines()]
    labels = {each["parameters"]["batch_index"]: each["outputs"][0]["data"] for each in written}
    assert labels == {0: LABELS, 1: ["délai"]}


def test_every_answer_of_a_foreign_protocol_is_one_that_the_description_allows(open_service: ServedModel) -> None:
    described = requests.get(f"{open_service.address}/openapi.json", timeout=10).json()["paths"]
    paths = [path for path in described if route_of(path, frozenset({"v1", "v2", "invocations"})).door]
    summary = ran(open_service.address, max_examples=30, paths=paths)
    assert not summary.problems, str(summary)
    assert {200, 400, 405, 415} <= set(summary.statuses)
    assert len(summary.cases) == len(paths) == 14
    assert open_service.child.alive()
