"""What is said of following: the interval, and plainly why polling alone is on."""

from __future__ import annotations

import pytest

from passerelle.errors import IntegrityError
from passerelle.follow_settings import FollowSettings
from passerelle.model.golden import Golden
from passerelle.rollout.following import following_of
from passerelle.rollout.smoke import ServiceAnswer, replay

FOLLOWS = {"PASSERELLE_FOLLOW": "production", "PASSERELLE_FOLLOW_INTERVAL_S": "5"}
ON = FOLLOWS | {"PASSERELLE_FOLLOW_WEBHOOK": "on"}


def test_nothing_is_said_of_a_pinned_service() -> None:
    assert following_of(FollowSettings.read({"PASSERELLE_FOLLOW_WEBHOOK": "on"})) is None


def test_it_is_said_plainly_why_polling_alone_is_on() -> None:
    off = following_of(FollowSettings.read(FOLLOWS))
    assert str(off) == "follows production: polls every 5 s; polling alone is on: PASSERELLE_FOLLOW_WEBHOOK is off"
    assert off is not None
    assert str(off.next_command).startswith("export PASSERELLE_FOLLOW_WEBHOOK=on; passerelle up\n")
    on = following_of(FollowSettings.read(ON))
    assert str(on) == "follows production: polls every 5 s, and at once when MLflow's webhook calls"
    failed = following_of(FollowSettings.read(ON), problem="MLflow is off")
    assert str(failed) == "follows production: polls every 5 s; polling alone is on: MLflow is off"


def test_a_service_that_follows_may_answer_with_another_version_and_a_pinned_one_may_not() -> None:
    golden = Golden(({"text": "a"}, {"text": "b"}), ("x", "y"), ("x", "y"), None, 1e-9)
    answers: list[ServiceAnswer] = [{"model_version": "1", "label": "x", "top": []}, {"model_version": "2", "label": "x", "top": []}]
    report = replay(lambda _: answers, golden, where="here", expected_version="1", following=True)
    assert (report.inputs, report.model_version) == (1, "2")
    with pytest.raises(IntegrityError, match="serves version 2, not 1"):
        replay(lambda _: answers, golden, where="here", expected_version="1")
    answers[1]["model_version"] = "1"
    with pytest.raises(IntegrityError, match="golden input 1"):
        replay(lambda _: answers, golden, where="here", expected_version="1", following=True)
