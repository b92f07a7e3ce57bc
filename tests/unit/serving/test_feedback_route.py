"""`POST /feedback` on the bytes, in process: who may send it, and under which limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from passerelle.api_keys import make_key
from passerelle.model.prediction_id import new_prediction_id
from passerelle.serving.endpoint import ClassifyEndpoint
from passerelle.serving.pages.app import build_app
from passerelle.serving.runtime import Runtime
from passerelle.settings import ServiceSettings
from tests.unit.serving.models import text_bento_model
from tests.unit.serving.test_endpoint import ask
from tests.unit.serving.test_feedback import ANSWER, RUN, SECRET


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClassifyEndpoint]:
    """A service with keys and a log, in process."""
    folder = tmp_path_factory.mktemp("feedback")
    runtime = Runtime(
        text_bento_model(folder / "model"),
        ServiceSettings.read(access_log=False, auth="required", rate_limit="600/minute", keys_file=folder / "keys"),
    )
    runtime.load()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PASSERELLE_PREDICTION_LOG", str(folder / "log"))
        yield ClassifyEndpoint(build_app(runtime), runtime=runtime)


def headers(endpoint: ClassifyEndpoint, name: str, *rights: str) -> dict[str, str]:
    path = endpoint._runtime.settings.keys_file
    token = make_key(path, f"{name} {new_prediction_id(RUN)[-36:]}", rights=rights).token
    endpoint._access._read_at = float("-inf")
    return {"authorization": f"Bearer {token}"}


def test_a_correction_of_an_answer_is_accepted_from_a_key_with_that_right_alone(endpoint: ClassifyEndpoint) -> None:
    classifies, corrects = headers(endpoint, "portal", "classify"), headers(endpoint, "agents", "feedback")
    answer = ask(endpoint, "POST", "/classify", json={"text": "merci"}, headers=classifies).json()
    content = {"prediction_id": answer["prediction_id"], "label": "délai"}
    assert ask(endpoint, "POST", "/feedback", json=content, headers=classifies).json()["code"] == "forbidden"
    assert ask(endpoint, "POST", "/classify", json={"text": "merci"}, headers=corrects).status_code == 403
    accepted = ask(endpoint, "POST", "/feedback", json=content, headers=corrects)
    assert (accepted.status_code, accepted.json()) == (202, {"accepted": True})
    assert ask(endpoint, "POST", "/feedback", json=content).status_code == 401
    assert "ratelimit-remaining" in accepted.headers


def test_feedback_keeps_the_contract_of_bodies(endpoint: ClassifyEndpoint) -> None:
    corrects = headers(endpoint, "agents", "feedback")
    assert ask(endpoint, "GET", "/feedback", headers=corrects).status_code == 405
    assert ask(endpoint, "POST", "/feedback", content=b"a=b", headers=corrects).status_code == 415
    assert (
        ask(endpoint, "POST", "/feedback", content=b" " * 300_000, headers={**corrects, "content-type": "application/json"}).status_code
        == 413
    )
    refusal = ask(endpoint, "POST", "/feedback", json={"prediction_id": ANSWER, "label": SECRET}, headers=corrects)
    assert (refusal.status_code, refusal.json()["field"], SECRET in refusal.text) == (422, "label", False)
    metrics = ask(endpoint, "GET", "/metrics", headers=corrects).text
    assert 'passerelle_requests_total{door="",route="/feedback",status="422"}' in metrics


def test_a_service_without_a_log_says_that_it_keeps_no_feedback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PASSERELLE_PREDICTION_LOG", raising=False)
    runtime = Runtime(text_bento_model(tmp_path / "model"), ServiceSettings.read(access_log=False))
    endpoint = ClassifyEndpoint(build_app(runtime), runtime=runtime)
    assert ask(endpoint, "POST", "/feedback", json={"prediction_id": ANSWER, "label": "merci"}).status_code == 404
