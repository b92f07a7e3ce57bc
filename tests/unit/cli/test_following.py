"""How a deployment that follows the registry is shown: what it follows, the version that answers, and what leads to a webhook."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from passerelle.cli import show, show_stack
from passerelle.cli.output import Output
from passerelle.names import BentoTag
from passerelle.rollout.compose import StackDeployment
from passerelle.rollout.following import Following
from passerelle.rollout.kubernetes import ClusterDeployment
from passerelle.rollout.local import Deployment
from passerelle.rollout.smoke import SmokeReport

TAG, SMOKE, NEWER = BentoTag("classification", "1-aaaa1111"), SmokeReport(3, 0.0, 0.1, "1"), SmokeReport(0, 0.0, 0.1, "2")
POLLS = Following("production", 2.0, webhook=False, problem="MLflow is off", next_command="passerelle up")
SAID = "follows production: polls every 2 s; polling alone is on: MLflow is off; it answers with version"


def deployment(smoke: SmokeReport, following: Following | None) -> Deployment:
    return Deployment("http://127.0.0.1:3000", TAG, 1, 0.5, smoke, changed=True, following=following)


def test_a_pinned_one_is_shown_as_ever(capsys: pytest.CaptureFixture[str]) -> None:
    show.deployment(Output(as_json=False), deployment(SMOKE, None))
    said = capsys.readouterr().out
    assert "3 golden predictions over HTTP: the same" in said
    assert "follows" not in said


def test_one_that_follows_says_so_with_the_version_and_the_next_command(capsys: pytest.CaptureFixture[str]) -> None:
    stack = StackDeployment("http://there", TAG, "image", SMOKE, changed=True, following=POLLS)
    pods = ClusterDeployment("ns/classify", TAG, "image", 2, SMOKE, changed=True, following=POLLS)
    calls: list[Callable[[], None]] = [
        lambda: show.deployment(Output(as_json=False), deployment(SMOKE, POLLS)),
        lambda: show_stack.stack_deployment(Output(as_json=False), stack),
        lambda: show_stack.cluster_deployment(Output(as_json=False), pods),
    ]
    for call in calls:
        call()
        said = capsys.readouterr().out
        assert "3 golden predictions" in said
        assert f"{SAID} 1\n  next: passerelle up\n" in said


def test_a_newer_version_is_not_said_to_have_answered_the_golden_inputs(capsys: pytest.CaptureFixture[str]) -> None:
    show.deployment(Output(as_json=False), deployment(NEWER, POLLS))
    said = capsys.readouterr().out
    assert "golden" not in said
    assert f"{SAID} 2" in said


def test_programs_get_the_parts(capsys: pytest.CaptureFixture[str]) -> None:
    show.deployment(Output(as_json=True), deployment(SMOKE, POLLS))
    following = json.loads(capsys.readouterr().out)["following"]
    assert following == {
        "target": "production",
        "interval_s": 2.0,
        "webhook": False,
        "problem": "MLflow is off",
        "next_command": "passerelle up",
    }
