"""A candidate that answers people passes the gate first, or is forced with a reason; a shadow is compared without it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from passerelle.criteria import Criteria, Rollout
from passerelle.errors import NotFoundError, RefusedError, UsageError
from passerelle.names import ModelVersionRef
from passerelle.stages import candidate_gate
from passerelle.stages.judgement import Judgement, PromotionRequest
from passerelle.stages.rollout import Author, begin, end
from passerelle.stages.rollout_options import RolloutOptions
from tests.unit.registry.ledger_forgeries import found, put
from tests.unit.registry.memory import Bucket, Mlflow, real

CRITERIA = Criteria()
TEN = RolloutOptions(candidate=2)


class Gate:
    """A gate that refuses each version unless it is forced.

    Attributes:
        refuses: Whether it does.
        error: What it raises in the place of a refusal.
        champions: The version in production at each time that it was asked.
    """

    def __init__(self) -> None:
        self.refuses = True
        self.error: type[NotFoundError] | None = None
        self.champions: list[int | None] = []

    def __call__(
        self,
        _: Any,
        ref: ModelVersionRef,
        champion: int | None,
        criteria: Criteria,
        request: PromotionRequest,
        *,
        hint: str,
        **_options: Any,
    ) -> Judgement:
        self.champions.append(champion)
        if self.error is not None and not request.force:
            raise self.error("its training logged no held-out rows", hint="passerelle train --again; passerelle register")
        if self.refuses and not request.force:
            raise RefusedError(f"the gate refuses {ref}: too weak", hint=hint)
        return Judgement(criteria.digest, None, "page", "runs:/r/gate/report.html", forced=self.refuses and request.force)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate = Gate()
    monkeypatch.setattr(candidate_gate, "judgement_of", gate)
    return gate


@pytest.fixture
def mlflow() -> Mlflow:
    """A registry with version 1 in production."""
    mlflow = Mlflow(Bucket(), versions=3)
    put(mlflow, 1)
    return mlflow


@pytest.fixture
def author(mlflow: Mlflow) -> Author:
    return Author(real(mlflow), "marie@here")


def test_a_canary_that_the_gate_refuses_does_not_begin(gate: Gate, mlflow: Mlflow, author: Author) -> None:
    with pytest.raises(RefusedError, match="the gate refuses") as refused:
        begin(author, TEN, CRITERIA)
    assert str(refused.value.hint).splitlines() == [
        "passerelle promote --version 2 --dry-run --report report.html",
        "passerelle rollout --candidate 2 --shadow",
        "passerelle rollout --candidate 2 --weight 10 --force --reason REASON",
    ]
    assert (mlflow.held_aliases, gate.champions) == ({"production": 1}, [1])
    assert len(found(mlflow).entries) == 1


def test_a_shadow_asks_no_gate_and_a_canary_after_it_does(gate: Gate, author: Author) -> None:
    assert begin(author, replace(TEN, shadow=True), CRITERIA).changed
    assert gate.champions == []
    with pytest.raises(RefusedError, match="the gate refuses"):
        begin(author, TEN, CRITERIA)


def test_a_forced_canary_is_written_as_one(gate: Gate, mlflow: Mlflow, author: Author) -> None:
    done = begin(author, replace(TEN, force=True, reason="agreed with the team"), CRITERIA)
    entry = found(mlflow).entries[-1]
    assert (entry.forced, entry.reason, entry.criteria_digest, entry.who) == (True, "agreed with the team", CRITERIA.digest, "marie@here")
    assert (entry.report_digest is not None, done.report) == (True, "runs:/r/gate/report.html")
    assert len(gate.champions) == 1


def test_a_gate_that_cannot_judge_refuses(gate: Gate, mlflow: Mlflow, author: Author) -> None:
    gate.error = NotFoundError
    with pytest.raises(NotFoundError, match="the gate cannot judge comments version 2, which is to answer people: its training") as refused:
        begin(author, TEN, CRITERIA)
    assert str(refused.value.hint).splitlines() == [
        "passerelle rollout --candidate 2 --shadow",
        "passerelle rollout --candidate 2 --weight 10 --force --reason REASON",
    ]
    assert mlflow.held_aliases == {"production": 1}
    assert begin(author, replace(TEN, force=True, reason="seen by hand"), CRITERIA).changed


def test_nobody_forces_a_candidate_in_production(gate: Gate, author: Author) -> None:
    there = replace(author, development=False)
    with pytest.raises(RefusedError, match="is not forced in production") as refused:
        begin(there, replace(TEN, force=True, reason="now"), CRITERIA)
    assert refused.value.hint == "passerelle rollout --candidate 2 --shadow"
    with pytest.raises(RefusedError) as refused:
        begin(there, TEN, CRITERIA)
    assert "--force" not in str(refused.value.hint)
    assert gate.champions == [1]


def test_another_weight_asks_no_gate_unless_what_was_judged_changed(gate: Gate, mlflow: Mlflow, author: Author) -> None:
    begin(author, replace(TEN, force=True, reason="agreed with the team"), CRITERIA)
    assert begin(author, replace(TEN, weight=5), CRITERIA).changed
    entry = found(mlflow).entries[-1]
    assert (entry.forced, entry.reason, entry.candidate and entry.candidate.weight) == (True, "agreed with the team", 5)
    assert len(gate.champions) == 1
    with pytest.raises(RefusedError):
        begin(author, replace(TEN, weight=20), Criteria(rollout=Rollout(min_requests=50)))
    put(mlflow, 3)
    with pytest.raises(RefusedError):
        begin(author, replace(TEN, weight=20), CRITERIA)
    assert gate.champions == [1, 1, 3]


def test_a_candidate_that_ended_is_judged_again(gate: Gate, author: Author) -> None:
    begin(author, replace(TEN, force=True, reason="agreed with the team"), CRITERIA)
    end(author, "withdrawn")
    with pytest.raises(RefusedError):
        begin(author, TEN, CRITERIA)


def test_a_candidate_is_made_and_ended_once_and_follows_what_somebody_decided(gate: Gate, mlflow: Mlflow, author: Author) -> None:
    gate.refuses = False
    assert begin(author, TEN, CRITERIA).changed
    left = dict(mlflow.objects.held), dict(mlflow.held_aliases)
    assert not begin(author, TEN, CRITERIA).changed
    assert (mlflow.objects.held, mlflow.held_aliases) == left, "a second time"
    put(mlflow, 2)
    with pytest.raises(UsageError, match="is in production"):
        begin(author, TEN, CRITERIA)
    put(mlflow, 1)
    left = dict(mlflow.objects.held), dict(mlflow.held_aliases)
    assert not end(author, "withdrawn").changed
    assert (mlflow.objects.held, mlflow.held_aliases) == left, "somebody's promotion ended it, and it stays ended"
