"""A candidate begins, changes its weight, is compared and ends: in the ledger, in MLflow's alias, and once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from passerelle.criteria import Criteria, Rollout
from passerelle.errors import BusyError, IntegrityError, NotFoundError, OutsideError, RefusedError, UsageError
from passerelle.model.ledger_entry import CANDIDATE, CandidateTerms
from passerelle.monitoring.live_comparison import RolloutCounts, compared
from passerelle.names import ADOPTION_RUN, ARTIFACT_DIGEST, LEDGER_CANDIDATE, TASK, TRUSTED_PICKLE, ModelVersionRef
from passerelle.registry.verified import verified_ledger
from passerelle.settings import SigningSettings
from passerelle.stages import candidate_gate, rollout
from passerelle.stages.context import Context
from passerelle.stages.judgement import Judgement
from passerelle.stages.live_services import LiveReport
from passerelle.stages.promote import Promotion, PromotionRequest
from passerelle.stages.rollout import Author, begin, end, live_rows, promoted, status
from passerelle.stages.rollout_options import RolloutOptions
from tests.unit.registry.ledger_forgeries import found, put
from tests.unit.registry.memory import NAME, Bucket, Mlflow, real

CRITERIA = Criteria(rollout=Rollout(min_requests=50))
TEN = RolloutOptions(candidate=2)


@pytest.fixture
def mlflow() -> Mlflow:
    """A registry with version 1 in production."""
    mlflow = Mlflow(Bucket(), versions=3)
    put(mlflow, 1)
    return mlflow


@pytest.fixture
def author(mlflow: Mlflow) -> Author:
    return Author(real(mlflow), "marie@here")


@pytest.fixture(autouse=True)
def gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate lets each version pass; tests/unit/stages/test_candidate_gate.py is about it."""

    def passes(_: Any, ref: ModelVersionRef, champion: int | None, criteria: Criteria, request: PromotionRequest, **__: Any) -> Judgement:
        return Judgement(criteria.digest, None, "", None, forced=request.force)

    monkeypatch.setattr(candidate_gate, "judgement_of", passes)


def report(**given: Any) -> LiveReport:
    counts = RolloutCounts(2, {("passerelle_rollout_requests_total", "candidate", "ok"): 60.0})
    return replace(LiveReport(("http://here",), (), compared(counts)), **given)


@pytest.mark.parametrize(
    ("given", "said", "hint"),
    [
        ({}, "one of --candidate", "passerelle rollout --candidate N --weight 10"),
        ({"weight": 10}, "--candidate names none", "passerelle rollout --candidate N --weight 10"),
        ({"status": True, "shadow": True}, "--candidate names none", "passerelle rollout --candidate N --weight 10"),
        ({"candidate": 2, "stop": True}, "one of --candidate", "passerelle rollout --candidate N --weight 10"),
        ({"candidate": 2, "weight": -1}, "a weight of -1 is no share", "passerelle rollout --candidate 2 --weight 10"),
        ({"candidate": 2, "weight": 101}, "a weight of 101 is no share", "passerelle rollout --candidate 2 --weight 10"),
        (
            {"candidate": 2, "key_header": "X Key"},
            "cannot be the name of a header",
            "passerelle rollout --candidate 2 --key-header X-Rollout-Key",
        ),
        ({"candidate": 2, "force": True}, "with a reason", "passerelle rollout --candidate 2 --force --reason REASON"),
        ({"candidate": 2, "waive": ("size",)}, "with a reason", "passerelle rollout --candidate 2 --waive size --reason REASON"),
        (
            {"candidate": 2, "shadow": True, "force": True, "reason": "x"},
            "changes nothing for a shadow",
            "passerelle rollout --candidate 2 --shadow",
        ),
        (
            {"candidate": 2, "shadow": True, "held_out": "rows.csv", "labels": ("y",)},
            "for a candidate that answers",
            "passerelle rollout --candidate N --weight 10 --held-out FILE --label COLUMN",
        ),
        ({"promote": True, "force": True, "reason": "x"}, "by promote itself", "passerelle promote --version N --force --reason REASON"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_command(given: dict[str, Any], said: str, hint: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        RolloutOptions(**given).check()
    assert str(refused.value.hint).splitlines()[0] == hint


def test_an_adopted_candidate_is_judged_by_the_rows_that_are_given(author: Author, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows.csv").write_text("text,y\na,0\nb,1\n")
    asked: list[PromotionRequest] = []

    def passes(_: Any, ref: ModelVersionRef, champion: int | None, criteria: Criteria, request: PromotionRequest, **__: Any) -> Judgement:
        asked.append(request)
        return Judgement(criteria.digest, None, "", None, forced=False)

    monkeypatch.setattr(candidate_gate, "judgement_of", passes)
    signing = SigningSettings()
    begin(replace(author, signing=signing), replace(TEN, held_out=str(tmp_path / "rows.csv"), labels=("y",)), CRITERIA, dry_run=True)
    (request,) = asked
    assert request.given is not None
    assert (request.given.labels, request.given.source) == (("y",), "rows.csv")
    assert request.signing is signing


def test_a_shadow_of_another_task_is_refused_in_words(mlflow: Mlflow, author: Author) -> None:
    mlflow.tags[2] |= {ADOPTION_RUN: "a" * 32, TASK: "regression"}
    with pytest.raises(UsageError, match="does not classify but does regression, and a shadow is compared by its labels") as refused:
        begin(author, replace(TEN, shadow=True), CRITERIA)
    assert refused.value.hint == "passerelle rollout --candidate 2 --weight 10"
    assert begin(author, TEN, CRITERIA).changed


def test_the_weight_by_default() -> None:
    assert (TEN.share, RolloutOptions(candidate=2, shadow=True).share, RolloutOptions(candidate=2, weight=0, shadow=True).share) == (
        10,
        100,
        0,
    )


def test_a_candidate_begins_once(mlflow: Mlflow, author: Author) -> None:
    planned = begin(author, TEN, CRITERIA, dry_run=True)
    assert planned.steps == ("ledger: entry 2, candidate version 2", "alias candidate → version 2")
    assert mlflow.held_aliases == {"production": 1}
    assert len(found(mlflow).entries) == 1
    done = begin(author, TEN, CRITERIA)
    assert (done.changed, done.steps, done.version) == (True, planned.steps, 2)
    assert mlflow.held_aliases == {"production": 1, "candidate": 2}
    entry = found(mlflow).entries[-1]
    assert entry.candidate == CandidateTerms("canary", 10, "X-Rollout-Key", CRITERIA.rollout.model_dump())
    assert (entry.what, entry.who, entry.to_version) == (CANDIDATE, "marie@here", 2)
    assert not begin(author, TEN, CRITERIA).changed
    assert begin(author, replace(TEN, weight=50), CRITERIA).changed
    assert len(found(mlflow).entries) == 3


def test_the_ledger_goes_before_the_alias(mlflow: Mlflow, author: Author) -> None:
    seen: list[str] = []
    mlflow.before_write = seen.append
    begin(author, TEN, CRITERIA)
    assert seen[0] == "model tag passerelle.ledger_announced"
    assert seen[-1] == "alias candidate"
    assert f"model tag {LEDGER_CANDIDATE}" in seen


@pytest.mark.parametrize("interrupted", [f"model tag {LEDGER_CANDIDATE}", "version tag", "alias candidate"])
def test_what_was_interrupted_is_completed_by_the_same_command(mlflow: Mlflow, author: Author, interrupted: str) -> None:
    def fail(what: str) -> None:
        if what == interrupted:
            raise OutsideError("gone")

    mlflow.before_write = fail
    with pytest.raises(OutsideError):
        begin(author, TEN, CRITERIA)
    mlflow.before_write = lambda _: None
    assert begin(author, TEN, CRITERIA).changed
    assert not begin(author, TEN, CRITERIA).changed
    assert len(found(mlflow).entries) == 2
    assert mlflow.held_aliases["candidate"] == 2


def test_who_cannot_be_a_candidate(mlflow: Mlflow, author: Author) -> None:
    with pytest.raises(UsageError, match="is in production already"):
        begin(author, RolloutOptions(candidate=1), CRITERIA)
    with pytest.raises(NotFoundError):
        begin(author, RolloutOptions(candidate=9), CRITERIA)
    mlflow.tags[2][TRUSTED_PICKLE] = "yes"
    with pytest.raises(RefusedError, match="pickle"):
        begin(replace(author, development=False), TEN, CRITERIA)
    del mlflow.tags[2][TRUSTED_PICKLE]
    begin(author, TEN, CRITERIA)
    with pytest.raises(UsageError, match="version 2 is the candidate") as refused:
        begin(author, RolloutOptions(candidate=3), CRITERIA)
    assert refused.value.hint == "passerelle rollout --stop; passerelle rollout --candidate 3"
    del mlflow.tags[3][ARTIFACT_DIGEST]
    with pytest.raises(IntegrityError, match="not registered by passerelle"):
        begin(author, RolloutOptions(candidate=3), CRITERIA)


def test_without_production_there_is_no_candidate() -> None:
    with pytest.raises(RefusedError, match="could answer beside") as refused:
        begin(Author(real(Mlflow(Bucket())), "marie@here"), TEN, CRITERIA)
    assert refused.value.hint == "passerelle promote --version 2"


def test_a_candidate_ends_once(mlflow: Mlflow, author: Author) -> None:
    assert not end(author, "withdrawn").changed
    begin(author, TEN, CRITERIA)
    done = end(author, "withdrawn", reason="enough")
    assert (done.changed, done.version) == (True, None)
    assert mlflow.held_aliases == {"production": 1}
    entry = found(mlflow).entries[-1]
    assert (entry.what, entry.ended, entry.reason, entry.to_version) == ("candidate-ended", "withdrawn", "enough", 2)
    assert not end(author, "withdrawn").changed
    assert verified_ledger(real(mlflow), NAME).in_production == 1


def test_somebody_else_may_be_faster(mlflow: Mlflow, author: Author, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(author, TEN, CRITERIA)
    stale = author.ledger()
    begin(author, replace(TEN, weight=20), CRITERIA)
    monkeypatch.setattr(Author, "ledger", lambda _: stale)
    with pytest.raises(BusyError):
        end(author, "withdrawn")
    assert mlflow.held_aliases["candidate"] == 2


def test_a_back_out_that_is_found_is_written(mlflow: Mlflow, author: Author) -> None:
    assert status(author, None).version is None
    begin(author, TEN, CRITERIA)
    assert status(author, report()).version == 2
    assert len(found(mlflow).entries) == 2
    assert status(author, report(backed_out="too slow"), dry_run=True).changed
    assert len(found(mlflow).entries) == 2
    done = status(author, report(backed_out="too slow"))
    assert (done.version, done.live) == (None, report(backed_out="too slow"))
    entry = found(mlflow).entries[-1]
    assert (entry.ended, entry.reason) == ("backed out", "too slow")
    assert "candidate" not in mlflow.held_aliases


@pytest.mark.parametrize(
    ("live", "error"),
    [
        (report(broken=("too slow",)), RefusedError),
        (report(backed_out="too slow"), RefusedError),
        (report(comparison=compared(RolloutCounts(2))), RefusedError),
        (LiveReport((), ("http://there",)), OutsideError),
        (None, OutsideError),
    ],
)
def test_only_a_candidate_that_was_compared_and_kept_its_limits_is_promoted(
    author: Author, live: LiveReport | None, error: type[Exception]
) -> None:
    begin(author, TEN, CRITERIA)
    now = replace(status(author, None), live=live)
    with pytest.raises(error):
        promoted(cast("Context", None), author, now, CRITERIA, project=Path(), dry_run=False)


@pytest.mark.parametrize("dry_run", [True, False])
def test_the_gate_is_asked_with_the_comparison_and_the_candidate_ends(
    mlflow: Mlflow, author: Author, monkeypatch: pytest.MonkeyPatch, dry_run: bool
) -> None:
    requests = []

    def gate(_: Any, *, ref: ModelVersionRef, criteria: Criteria, request: PromotionRequest, dry_run: bool) -> Promotion:
        requests.append((ref, criteria, request))
        return Promotion(ref, 1, changed=True, dry_run=True) if dry_run else put(mlflow, ref.version)

    monkeypatch.setattr(rollout, "promote", gate)
    monkeypatch.setattr(rollout, "promotion_request", lambda *_: PromotionRequest("marie@here"))
    begin(author, TEN, CRITERIA)
    done = promoted(cast("Context", None), author, status(author, report()), CRITERIA, project=Path(), dry_run=dry_run)
    ((ref, criteria, request),) = requests
    assert (ref.version, criteria) == (2, CRITERIA)
    assert request.live is not None
    assert request.live["live_requests"] == ("0", "60")
    assert (done.changed, done.promotion is not None) == (True, True)
    assert ("candidate" in mlflow.held_aliases) is dry_run
    assert mlflow.held_aliases["production"] == (1 if dry_run else 2)


def test_a_candidate_that_the_gate_refuses_goes_on(mlflow: Mlflow, author: Author, monkeypatch: pytest.MonkeyPatch) -> None:
    def gate(*_: Any, **__: Any) -> Promotion:
        raise RefusedError("the gate refuses comments version 2")

    monkeypatch.setattr(rollout, "promote", gate)
    monkeypatch.setattr(rollout, "promotion_request", lambda *_: PromotionRequest("marie@here"))
    begin(author, TEN, CRITERIA)
    with pytest.raises(RefusedError, match="the gate refuses"):
        promoted(cast("Context", None), author, status(author, report()), CRITERIA, project=Path(), dry_run=False)
    assert mlflow.held_aliases == {"production": 1, "candidate": 2}


def test_without_a_candidate_none_is_promoted(author: Author) -> None:
    with pytest.raises(NotFoundError, match="has no candidate"):
        promoted(cast("Context", None), author, status(author, None), CRITERIA, project=Path(), dry_run=False)


def test_the_report_shows_both() -> None:
    counts = RolloutCounts(
        2,
        {("passerelle_rollout_requests_total", "candidate", "ok"): 90.0, ("passerelle_rollout_requests_total", "candidate", "error"): 10.0},
    )
    rows = live_rows(compared(counts))
    assert rows["live_requests"] == ("0", "100")
    assert rows["live_errors"][1] == "10.00% [5.52%, 17.44%]"
    assert rows["live_latency"] == ("—", "—")
    assert "live_agreement" not in rows
