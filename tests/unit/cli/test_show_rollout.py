"""What `passerelle rollout` says of a candidate."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from passerelle.cli.main import passerelle
from passerelle.cli.output import Output
from passerelle.cli.show_rollout import candidate
from passerelle.errors import UsageError
from passerelle.model.ledger_entry import CandidateTerms
from passerelle.monitoring.live_comparison import RolloutCounts, compared
from passerelle.stages.live_services import LiveReport
from passerelle.stages.rollout import CandidateRollout
from tests.unit.registry.ledger_forgeries import entry_of

TERMS = CandidateTerms("canary", 10, "X-Rollout-Key")
COUNTS = RolloutCounts(
    7,
    {
        ("passerelle_rollout_requests_total", "candidate", "ok"): 90.0,
        ("passerelle_rollout_labels_total", "candidate", "voirie"): 90.0,
        ("passerelle_rollout_shadow_total", "", "dropped"): 4.0,
    },
)
FOUND = CandidateRollout(
    "comments",
    3,
    TERMS,
    entry=entry_of(3, number=7),
    live=LiveReport((), ("http://there",), compared(COUNTS), ("too slow",), without=("http://pinned",)),
)


def said(result: CandidateRollout, capsys: pytest.CaptureFixture[str]) -> str:
    candidate(Output(as_json=False), result)
    return capsys.readouterr().out


def test_the_candidate_and_how_it_compares(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(FOUND, capsys)
    assert "version 3 answers 10 % of the requests (entry 7); clients keep their version by X-Rollout-Key" in text
    for line in (
        "the service http://there does not give its metrics",
        "breaks a limit: too slow",
        "the service http://pinned follows no candidate",
        "4 records were not scored",
    ):
        assert line in text
    assert "voirie" in text


def test_what_changes_and_what_ended(capsys: pytest.CaptureFixture[str]) -> None:
    assert "would do: alias moved" in said(CandidateRollout("comments", 3, TERMS, True, ("alias moved",), dry_run=True), capsys)
    ended = CandidateRollout("comments", None, entry=entry_of(3, ended="withdrawn"))
    assert said(ended, capsys) == "'comments' has no candidate: withdrawn\n"
    shadow = said(replace(FOUND, terms=replace(TERMS, mode="shadow")), capsys)
    assert "version 3 scores beside 10 %" in shadow


def test_programs_get_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    candidate(Output(as_json=True), FOUND)
    found = json.loads(capsys.readouterr().out)
    assert (found["version"], found["live"]["comparison"]["candidate"]["requests"]) == (3, 90)


def test_a_weight_without_a_candidate_is_refused_before_anything_is_asked() -> None:
    result = CliRunner().invoke(passerelle, ["rollout", "--weight", "101"])
    assert isinstance(result.exception, UsageError)
    assert result.exception.hint == "passerelle rollout --candidate N --weight 10"
