"""Clients that people have: BentoML's own, and one generated from the OpenAPI file, that of today and the released one."""

from __future__ import annotations

import asyncio
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import requests

from passerelle.api_keys import make_key
from tests.service_fixtures import ServedModel, serve

pytestmark = [pytest.mark.e2e, pytest.mark.integration]

RELEASED = Path(__file__).resolve().parents[1] / "unit" / "serving" / "released_openapi.json"
RECORDS = [{"text": "un grand merci"}, {"text": "trottoir cassé"}]
LABELS = ["merci", "voirie"]
BLANK = {"code": "invalid_record", "message": "must hold more than space", "field": "text"}


def told(error: BaseException) -> dict[str, Any]:
    """Return the envelope that BentoML's client gives as the message of its error, without the request's id."""
    body = dict(json.loads(str(error)))
    assert body.pop("request_id")
    return body


def test_bentomls_client_is_answered(served: ServedModel) -> None:
    import bentoml
    from bentoml.exceptions import UnprocessableEntity

    with bentoml.SyncHTTPClient(served.address) as client:
        assert client.is_ready()
        assert client.classify(text="un grand merci")["label"] == "merci"
        assert [each["label"] for each in client.classify_batch(records=RECORDS)["predictions"]] == LABELS
        with pytest.raises(UnprocessableEntity) as refused:
            client.classify(text="   ")
        assert told(refused.value) == BLANK
        with pytest.raises(UnprocessableEntity) as refused:
            client.classify_batch(records=[{"text": "merci"}, {"text": " "}])
        assert told(refused.value) == {**BLANK, "field": "records.1.text"}


def test_bentomls_async_client_is_answered(served: ServedModel) -> None:
    import bentoml
    from bentoml.exceptions import UnprocessableEntity

    async def go() -> None:
        async with bentoml.AsyncHTTPClient(served.address) as client:
            single, batch = await asyncio.gather(client.classify(text="un grand merci"), client.classify_batch(records=RECORDS))
            assert single["label"] == "merci"
            assert [each["label"] for each in batch["predictions"]] == LABELS
            with pytest.raises(UnprocessableEntity) as refused:
                await client.classify(text="   ")
            assert told(refused.value) == BLANK

    asyncio.run(go())


class Generated:
    """A client package that openapi-python-client wrote.

    Args:
        document: The OpenAPI file.
        name: Of the package; each needs its own, since Python keeps what it imported.
        folder: Where it is written.
    """

    def __init__(self, document: Path, name: str, folder: Path) -> None:
        folder.mkdir()
        config = folder / "config.yaml"
        config.write_text("post_hooks: []\n")
        command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", str(document), "--meta", "none"]
        command += ["--output-path", str(folder / name), "--config", str(config), "--fail-on-warning"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        self.name = name
        #: The released description has no groups.
        self.answers = "api.default" if (folder / name / "api" / "default").is_dir() else "api.answers"

    def module(self, path: str = "") -> ModuleType:
        """Return a module of the package."""
        return importlib.import_module(f"{self.name}.{path}" if path else self.name)


@pytest.fixture(scope="module", params=["released", "current"])
def generated(request: pytest.FixtureRequest, served: ServedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generated]:
    folder = tmp_path_factory.mktemp("client")
    document = RELEASED
    if request.param == "current":
        document = folder / "openapi.json"
        document.write_bytes(requests.get(f"{served.address}/openapi.json", timeout=10).content)
    client = Generated(document, f"passerelle_client_{request.param}", folder / "generated")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder / "generated"))
        yield client


def test_a_generated_client_gets_typed_answers(served: ServedModel, generated: Generated) -> None:
    models = generated.module("models")
    classify, classify_batch = generated.module(f"{generated.answers}.classify"), generated.module(f"{generated.answers}.classify_batch")
    with generated.module().Client(base_url=served.address) as client:
        single = classify.sync(client=client, body=models.Record(text="un grand merci"))
        assert isinstance(single, models.Prediction)
        assert (single.label, single.model_version, single.review) == ("merci", "7", False)
        assert isinstance(single.top[0], models.LabelProbability)
        assert single.probability == single.top[0].probability
        batch = classify_batch.sync(client=client, body=models.Records(records=[models.Record(**record) for record in RECORDS]))
        assert isinstance(batch, models.BatchPrediction)
        assert [each.label for each in batch.predictions] == LABELS
        later = asyncio.run(classify.asyncio(client=generated.module().Client(base_url=served.address), body=models.Record(text="merci")))
        assert later.label == "merci"


def test_a_generated_client_gets_a_typed_error(served: ServedModel, generated: Generated) -> None:
    models, classify = generated.module("models"), generated.module(f"{generated.answers}.classify")
    with generated.module().Client(base_url=served.address, raise_on_unexpected_status=True) as client:
        answer = classify.sync_detailed(client=client, body=models.Record(text="   "))
        assert answer.status_code == 422
        assert isinstance(answer.parsed, models.ErrorAnswer)
        assert (answer.parsed.code, answer.parsed.field) == ("invalid_record", "text")


@pytest.fixture(scope="module")
def with_keys(served: ServedModel) -> Iterator[tuple[ServedModel, str]]:
    """A service that asks for a key, and a key."""
    made = make_key(served.bentoml_home / "keys.json", "agents")
    with serve(served.bentoml_home, auth="required") as running:
        yield running, made.token


def test_clients_send_their_key(with_keys: tuple[ServedModel, str], generated: Generated) -> None:
    import bentoml
    from bentoml.exceptions import BentoMLException

    service, token = with_keys
    with bentoml.SyncHTTPClient(service.address, token=token) as client:
        assert client.classify(text="un grand merci")["label"] == "merci"
    with bentoml.SyncHTTPClient(service.address, token="psl_000000000000_wrong") as client, pytest.raises(BentoMLException) as refused:
        client.classify(text="un grand merci")
    assert told(refused.value)["code"] == "unauthorized"
    package, models, classify = generated.module(), generated.module("models"), generated.module(f"{generated.answers}.classify")
    known = package.AuthenticatedClient(base_url=service.address, token=token)
    assert classify.sync(client=known, body=models.Record(text="un grand merci")).label == "merci"
    unknown = classify.sync(client=package.Client(base_url=service.address), body=models.Record(text="un grand merci"))
    assert isinstance(unknown, models.ErrorAnswer)
    assert unknown.code == "unauthorized"
