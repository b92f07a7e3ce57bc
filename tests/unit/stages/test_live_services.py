"""What services say of a candidate is added up over those that answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import requests
from prometheus_client import CollectorRegistry, generate_latest

from passerelle.model.ledger_entry import CandidateTerms
from passerelle.monitoring.rollout_metrics import RolloutMetrics
from passerelle.rollout.replicas import at_addresses
from passerelle.stages.live_services import LiveReport, compare_live, no_service
from passerelle.stages.service_readiness import ServiceFollows, _candidate
from passerelle.stages.status import Holdings, disagreements
from tests.unit.registry.ledger_forgeries import entry_of

ENTRY = entry_of(3, number=7, what="candidate", candidate=CandidateTerms("canary", 10, "X-Rollout-Key", {"max_error_share": 0.05}))


class Services:
    """Two services that count alike, one of which has backed out, and one that does not answer."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        metrics = RolloutMetrics(registry)
        for _ in range(40):
            metrics.failed(7, "candidate", "3")
        self.text = generate_latest(registry).decode()
        self.headers: list[Any] = []
        self.candidate: dict[str, Any] = {"entry": 7, "backed_out": "too many\x1b errors"}

    def get(self, url: str, *, headers: Any = None, **_: Any) -> requests.Response:
        if "silent" in url:
            raise requests.ConnectionError
        response = requests.Response()
        response.status_code = 200
        if url.endswith("/metrics"):
            self.headers.append(headers)
            response._content = self.text.encode()
        else:
            response.json = lambda **_: {"ready": True, "candidate": self.candidate if "one" in url else None}  # type: ignore[method-assign]
        return response


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Services:
    services = Services()
    monkeypatch.setattr(requests, "get", services.get)
    return services


def test_the_counts_of_those_that_answer_add_up(services: Services) -> None:
    found = compare_live(ENTRY, at_addresses(("http://one/", "http://two", "http://silent"), "k" * 40))
    assert (found.services, found.silent) == (("http://one/", "http://two"), ("http://silent",))
    assert found.comparison is not None
    assert found.comparison.candidate.requests == 80
    assert found.broken == ("the share of errors is 100.0%, and 5.0% is the most",)
    assert (found.backed_out, found.without) == ("too many errors", ("http://two",))
    assert services.headers == [{"Authorization": f"Bearer {'k' * 40}"}] * 2


def test_a_back_out_of_another_entry_is_none(services: Services) -> None:
    services.candidate["entry"] = 6
    assert compare_live(ENTRY, at_addresses(("http://one",), None)).backed_out == ""


def test_where_none_answers_there_is_no_comparison(services: Services) -> None:
    found = compare_live(ENTRY, at_addresses(("http://silent",), None))
    assert found == LiveReport((), ("http://silent",))
    assert "http://silent do not give" in no_service(found).message
    assert "no service runs here" in no_service(None).message


def test_status_says_what_is_wrong_with_the_candidate() -> None:
    following = ServiceFollows("comments@production", "in_step", "", "", "")
    there = Holdings("comments", 1, None, (1,), 1, None, None, 1, "http://one", follows=following)
    state = {"model_version": "3", "state": "in_step", "code": "", "message": "", "hint": "", "backed_out": "too many\x1b errors"}
    (found,) = disagreements(replace(there, candidate=_candidate(state)))
    assert found.what == "the service does not follow candidate (backed_out): too many errors"
    assert found.command == "passerelle rollout --status"
    refused = {**state, "backed_out": "", "state": "refused", "code": "schema", "message": "other records", "hint": "passerelle build"}
    (found,) = disagreements(replace(there, candidate=_candidate(refused)))
    assert (found.what, found.command) == ("the service does not follow candidate (schema): other records", "passerelle build")
    assert disagreements(replace(there, candidate=_candidate({**state, "backed_out": ""}))) == ()
    assert _candidate(None) is None
