"""The live service against its own OpenAPI file: schemathesis sends what it allows and what it forbids.

Shown with `pytest -rP`: the operations, cases and checks of each run.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from schemathesis.engine import StopReason, events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder

from passerelle.names import FEEDBACK
from tests.service_fixtures import ServedModel, serve
from tests.unit.serving.models import TEXTS

pytestmark = [pytest.mark.e2e, pytest.mark.integration]

OPERATIONS = {"POST /classify", "POST /classify/batch", "POST /feedback", "GET /model", "GET /livez", "GET /readyz"}
CHECKS = {
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "unsupported_method",
    "allow_header_conformance",
}
#: Of feedback the schema says neither which ids nor which labels there are; without a prediction log there is nothing at its path.
OF_FEEDBACK = {
    "include-path": FEEDBACK,
    "generation": {"max-examples": 50},
    "checks": {
        "negative_data_rejection": {"expected-statuses": ["400", "401", "404", "405", "413", "415", "422", "429"]},
        "positive_data_acceptance": {"expected-statuses": ["202", "401", "404", "422"]},
    },
}
#: Of a foreign protocol the schema does not say which names, shapes and tables fit the model.
OF_FOREIGN_PROTOCOLS = {
    "include-path-regex": "^/(v1|v2|invocations|endpoints)",
    "checks": {"positive_data_acceptance": {"expected-statuses": ["200", "400", "401", "415"]}},
}
REFUSES = ["400", "401", "405", "409", "413", "415", "422", "429"]


@dataclass
class Summary:
    """What was sent and what came back."""

    cases: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    stopped: StopReason | None = None
    seconds: float = 0.0

    def add(self, recorder: ScenarioRecorder) -> None:
        """Count one scenario."""
        self.cases[recorder.label] += len(recorder.cases)
        self.statuses.update(sent.response.status_code for sent in recorder.interactions.values() if sent.response is not None)
        for check in (check for checks in recorder.checks.values() for check in checks):
            self.checks[check.name] += 1
            if check.failure_info is not None:
                failure, sample = check.failure_info.failure, check.failure_info.code_sample
                self.problems.append(f"{recorder.label}: {check.name}: {failure.title}\n{failure.message}\n{sample[:2_000]}")

    def __str__(self) -> str:
        lines = [
            f"{len(self.cases)} operations, {self.cases.total()} cases, {self.checks.total()} checks in {self.seconds:.1f} s",
            "cases: " + ", ".join(f"{name} {count}" for name, count in sorted(self.cases.items())),
            "answers: " + ", ".join(f"{status} {count}" for status, count in sorted(self.statuses.items())),
            "checks: " + ", ".join(f"{name} {count}" for name, count in sorted(self.checks.items())),
        ]
        return "\n".join([*lines, *self.problems])


def blank(body: Any) -> bool:
    """Return whether a text of the body is nothing but space: the description says so in words, its schema cannot."""
    records = body.get("records") if isinstance(body, dict) else None
    texts = [record.get("text") for record in [body, *(records if isinstance(records, list) else [])] if isinstance(record, dict)]
    return any(isinstance(text, str) and text.isspace() for text in texts)


def ran(address: str, *, max_examples: int, paths: Sequence[str] = ()) -> Summary:
    """Return what came of a run over every operation, or those of these paths; the same cases each time."""
    config = schemathesis.Config.from_dict(
        {
            "generation": {"max-examples": max_examples, "mode": "all", "deterministic": True, "database": "none"},
            "phases": {"stateful": {"enabled": False}},
            "checks": {"negative_data_rejection": {"expected-statuses": REFUSES}},
            "operations": [OF_FEEDBACK, OF_FOREIGN_PROTOCOLS],
        }
    )
    document = requests.get(f"{address}/openapi.json", timeout=10).json()
    if paths:
        # `include` has no effect on a schema whose configuration names operations.
        document["paths"] = {each: operations for each, operations in document["paths"].items() if each in paths}
    schema = schemathesis.openapi.from_dict(document, config=config)
    schema.config.update(base_url=address)

    @schema.hook
    def filter_body(_: schemathesis.HookContext, body: Any) -> bool:
        return not blank(body)

    summary = Summary()
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            summary.add(event.recorder)
        elif isinstance(event, events.NonFatalError):
            summary.problems.append(f"{event.label}: {event.value!r}")
        elif isinstance(event, events.FatalError):
            raise event.exception
        elif isinstance(event, events.EngineFinished):
            summary.stopped, summary.seconds = event.stop_reason, event.running_time
    print(summary)  # noqa: T201 - what `-rP` shows
    return summary


def test_every_answer_is_one_that_the_description_allows(served: ServedModel, record_property: Any) -> None:
    summary = ran(served.address, max_examples=1_000)
    record_property("schemathesis", str(summary))
    assert not summary.problems, str(summary)
    assert summary.stopped is StopReason.COMPLETED
    assert set(summary.cases) == OPERATIONS
    assert set(summary.checks) >= CHECKS
    # A run in which everything is refused, or everything taken, has not looked at the contract.
    assert {200, 400, 405, 415, 422} <= set(summary.statuses)
    assert min(summary.cases["POST /classify"], summary.cases["POST /classify/batch"]) >= 200
    assert served.child.alive()


def test_every_answer_to_feedback_is_one_that_the_description_allows(served: ServedModel, tmp_path: Path) -> None:
    with serve(served.bentoml_home, prediction_log=str(tmp_path / "log")) as running:
        summary = ran(running.address, max_examples=100, paths=[FEEDBACK])
        assert not summary.problems, str(summary)
        assert {400, 405, 415, 422} <= set(summary.statuses)
        assert 404 not in summary.statuses
        assert running.child.alive()


@pytest.fixture(scope="module")
def with_keys(served: ServedModel) -> Iterator[ServedModel]:
    with serve(served.bentoml_home, auth="required") as running:
        yield running


def test_the_documents_of_the_contract_follow_one_rule_of_access(served: ServedModel, with_keys: ServedModel) -> None:
    """Open with and without keys, as docs/09-serve.md says; a key that is none is no obstacle either."""
    for path in ("/", "/docs", "/openapi.json", "/docs.json", "/schema.json"):
        for service, headers in ((served, {}), (with_keys, {}), (with_keys, {"Authorization": "Bearer none"})):
            shown = requests.get(service.address + path, headers=headers, timeout=30)
            assert shown.status_code == 200, path
    assert requests.get(f"{with_keys.address}/model", timeout=30).status_code == 401


def test_without_a_key_every_answer_is_one_that_the_description_allows(with_keys: ServedModel) -> None:
    summary = ran(with_keys.address, max_examples=20)
    assert not [each for each in summary.problems if "positive_data_acceptance" not in each], str(summary)
    assert summary.statuses[401] > 50


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/model"), ("POST", "/docs"), ("PUT", "/openapi.json"), ("GET", "/static_content/nothing.css")]
)
def test_every_refusal_has_the_one_envelope(served: ServedModel, method: str, path: str) -> None:
    refused = requests.request(method, served.address + path, timeout=5)
    assert refused.status_code in {404, 405}
    assert {"code", "message", "request_id"} <= refused.json().keys()
    assert refused.headers["x-request-id"] == refused.json()["request_id"]


def test_no_record_of_the_data_is_in_what_everybody_may_read(served: ServedModel) -> None:
    for path in ("/openapi.json", "/docs", "/docs.json", "/schema.json", "/model"):
        shown = requests.get(served.address + path, timeout=5)
        text = shown.content.decode()
        assert shown.status_code == 200
        assert not [each for each in TEXTS if each in text or json.dumps(each)[1:-1] in text], path
