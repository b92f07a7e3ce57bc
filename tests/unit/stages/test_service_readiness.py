"""What status shows of a service's own word on following, also where the service is not ready or nothing is in production."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from passerelle.cli import show
from passerelle.cli.output import Output
from passerelle.follow_settings import FollowSettings
from passerelle.settings import MlflowSettings
from passerelle.stages.service_readiness import ServiceReadiness, parsed_readiness
from passerelle.stages.status import Holdings, Status, _of_settings, disagreements

REFUSED = {"alias": "test@production", "state": "refused", "code": "golden", "message": "it differs", "hint": "passerelle rollback"}
PINNED = Holdings("test", 1, None, (1,), 1, None, None, 1, "http://there")


def with_answer(answer: object, holdings: Holdings = PINNED) -> Holdings:
    found = parsed_readiness(answer)
    return replace(holdings, service=found.version, service_silent=found.silent, follows=found.follows, others=found.others)


def test_a_service_that_is_not_ready_says_why_it_does_not_follow() -> None:
    found = disagreements(with_answer({"ready": False, "model_version": None, "reason": "model_refused", "following": REFUSED}))
    assert [each.what for each in found] == [
        "version 1 is in production and the service at http://there is not ready, or does not answer",
        "the service does not follow test@production (golden): it differs",
    ]
    assert [each.command for each in found] == ["passerelle deploy", "passerelle rollback"]


def test_it_is_stated_also_where_nothing_is_in_production() -> None:
    nothing = replace(PINNED, alias=None, stage=(), ledger=None)
    found = disagreements(with_answer({"ready": True, "model_version": "1", "following": REFUSED}, nothing))
    assert [each.command for each in found] == ["passerelle promote", "passerelle rollback"]


def test_a_further_model_that_is_refused_is_stated_beside_the_first_one() -> None:
    first = {**REFUSED, "state": "in_step", "code": "", "message": "", "hint": ""}
    langue = {"following": {**REFUSED, "alias": "langue@production"}}
    answer = {"ready": True, "model_version": "1", "following": first, "models": {"langue": langue, "none": "?"}}
    (found,) = disagreements(with_answer(answer))
    assert found.what == "the service does not follow langue@production (golden): it differs"


def test_the_alternatives_of_a_hint_are_shown_as_lines_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    hint = "passerelle rollback\npasserelle train --again; passerelle register"
    holdings = with_answer({"ready": True, "model_version": "1", "following": {**REFUSED, "hint": hint, "message": "it\x1b[1m differs"}})
    show.status(Output(as_json=False), Status(holdings, disagreements(holdings)))
    expected = (
        "disagrees: the service does not follow test@production (golden): it[1m differs\n"
        "  next: passerelle rollback\n"
        "    or: passerelle train --again; passerelle register\n"
    )
    assert expected in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "problem", "command"),
    [
        ({"follow": "@production"}, "PASSERELLE_FOLLOW names no alias", "export PASSERELLE_FOLLOW=production"),
        ({"follow": "production", "follow_tracking_uri": "there:5000"}, "is not an address", "export MLFLOW_TRACKING_URI=http://HOST:5000"),
        ({"follow": "production", "follow_ca_file": "/nowhere.pem"}, "the file /nowhere.pem", "export MLFLOW_TRACKING_SERVER_CERT_PATH="),
    ],
)
def test_settings_that_end_a_service_at_its_start_are_stated(given: dict[str, str], problem: str, command: str) -> None:
    server = MlflowSettings.read({}, tracking_uri="http://127.0.0.1:5000", registered_model="test")
    (found,) = _of_settings(FollowSettings.read({}, **given), server)
    assert found.what.startswith("no service can start: ")
    assert problem in found.what
    assert found.command.startswith(command)
    assert not list(_of_settings(FollowSettings.read({}, follow="production"), server))
    assert not list(_of_settings(FollowSettings.read({}), server))


@pytest.mark.parametrize("answer", [None, [], "ready", {}, {"model_version": "seven"}, {"model_version": [], "models": [], "following": 1}])
def test_what_is_no_answer_of_a_service_is_none(answer: Any) -> None:
    assert parsed_readiness(answer) == ServiceReadiness(silent="is not ready, or does not answer")
