"""The rules of the verdict: who may waive what and why, what a waiver changes, and what the gate is given to judge by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from passerelle.criteria import Champion, Criteria
from passerelle.errors import RefusedError, UsageError
from passerelle.gate import verdict as module
from passerelle.gate.evidence import Evidence
from passerelle.gate.near_duplicates import groups_of_records
from passerelle.gate.paired import paired_difference
from passerelle.gate.recipes import RecipeDifference
from passerelle.gate.row_evidence import RowEvidence
from passerelle.gate.verdict import Verdict, allow, judge
from passerelle.registry.client import Registry
from passerelle.registry.looks import LookTaken
from tests.unit.gate.verdicts import contender, evidence, scores
from tests.unit.registry.memory import ref

TRUTH = [0] * 30 + [1] * 20 + [2] * 10
GOOD = contender(2, scores(TRUTH, TRUTH))
LATER = contender(1, scores(TRUTH, [0] * 40 + [1] * 20))
LARGE: dict[str, Any] = {
    "held_out": {"maximum": {"size_bytes": 10, "memory_mib": 1}},
    "waivable": [{"check": "size_bytes", "by": ["marie", "ci@runner"]}, {"check": "size_bytes", "by": ["zoé"]}],
}
CRITERIA = Criteria.model_validate(LARGE)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let `judge` find this evidence, and return what it asked for."""
    seen: dict[str, Any] = {"evidence": evidence(GOOD, LATER)}

    def gathered(registry: Registry, *refs: Any, **options: Any) -> Evidence:
        seen.update(options, refs=refs, registry=registry)
        found: Evidence = seen["evidence"]
        return found

    def taken(*_: Any, **options: Any) -> LookTaken:
        seen.update(options)
        return LookTaken(seen.get("number", 1))

    monkeypatch.setattr(module, "gather", gathered)
    monkeypatch.setattr(module, "look_at", taken)
    return seen


def judged(criteria: dict[str, Any] | None = None, **options: Any) -> Verdict:
    rules = Criteria.model_validate(LARGE if criteria is None else criteria)
    return judge(cast("Registry", "registry"), ref=ref(2), champion=ref(1), criteria=rules, **options)


@pytest.mark.parametrize("reason", [None, "", "  \n"])
def test_a_waiver_needs_a_reason(asked: dict[str, Any], reason: str | None) -> None:
    with pytest.raises(UsageError, match="a check is waived with a reason") as refused:
        judged(waive=["size_bytes"], who="marie@here", reason=reason)
    assert refused.value.hint == "passerelle promote --waive size_bytes --reason REASON"
    assert "refs" not in asked, "nothing was downloaded"


@pytest.mark.parametrize("who", ["marie", "marie@here", "ci@runner", "zoé@elsewhere"])
def test_those_whom_the_criteria_name_may_waive(who: str) -> None:
    allow(CRITERIA, ["size_bytes"], who=who, reason="agreed on Monday")


@pytest.mark.parametrize(
    ("check", "who", "allowed"),
    [
        ("size_bytes", "paul@here", "only by ci@runner, marie, zoé"),
        ("size_bytes", "ci@another", "only by ci@runner, marie, zoé"),
        ("size_bytes", "", "only by ci@runner, marie, zoé"),
        ("memory_mib", "marie@here", "by nobody"),
    ],
)
def test_nobody_else_may(asked: dict[str, Any], check: str, who: str, allowed: str) -> None:
    with pytest.raises(RefusedError) as refused:
        judged(waive=["size_bytes", check] if check != "size_bytes" else [check], who=who, reason="please")
    assert refused.value.message == f"the criteria let '{check}' be waived {allowed}, not by {who}"
    assert refused.value.hint == "cat training/criteria.yaml"
    assert "refs" not in asked


def test_without_a_waiver_no_reason_and_no_name_are_needed() -> None:
    allow(CRITERIA, [], who="", reason=None)


def test_a_waiver_lets_through_what_it_names_and_no_more(asked: dict[str, Any]) -> None:
    found = judged(waive=["size_bytes"], who="marie@here", reason="agreed")
    assert found.waived == {"size_bytes": "marie@here: agreed"}
    assert [each.check for each in found.failures] == ["memory_mib"]
    assert not found.passed
    assert [each.check for each in judged().failures] == ["size_bytes", "memory_mib"]
    criteria = LARGE | {"held_out": {"maximum": {"size_bytes": 10}}}
    assert judged(criteria, waive=["size_bytes"], who="zoé", reason="agreed").passed


def test_a_check_that_passed_is_not_waived(asked: dict[str, Any]) -> None:
    criteria = LARGE | {"held_out": {"maximum": {"size_bytes": 1e9}}}
    found = judged(criteria, waive=["size_bytes"], who="marie@here", reason="agreed")
    assert found.waived == {}
    assert found.passed


def test_the_evidence_is_asked_for_with_the_criterias_own_numbers(asked: dict[str, Any]) -> None:
    found = judged({"held_out": {"rows": 7}}, serving={"numpy": "2"})
    assert asked["refs"] == (ref(2), ref(1))
    assert (asked["serving"], asked["least_rows"], asked["registry"]) == ({"numpy": "2"}, 7, "registry")
    assert (found.ref, found.evidence) == (ref(2), asked["evidence"])
    assert found.criteria_digest == Criteria.model_validate({"held_out": {"rows": 7}}).digest
    judged({})
    assert asked["serving"] == {}


def test_the_difference_is_taken_by_the_criterias_own_rule_at_the_level_of_the_look(asked: dict[str, Any]) -> None:
    rule: dict[str, Any] = {"metric": "accuracy", "level": 0.2, "resamples": 150, "seed": 5}
    truth, old, new = GOOD.scores.truth, LATER.scores.predicted, GOOD.scores.predicted
    groups = groups_of_records(asked["evidence"].records)
    expected = paired_difference(truth, old, new, groups, Champion.model_validate(rule), level=0.85 * 0.2)
    found = judged({"champion": rule}, who="marie", dry_run=True)
    assert found.difference == expected
    assert (asked["who"], asked["dry_run"], found.look) == ("marie", True, LookTaken(1))
    assert expected.value == pytest.approx(20 / 60)
    for name, other in (("metric", "macro_f1"), ("level", 0.1), ("resamples", 100), ("seed", 6)):
        assert judged({"champion": rule | {name: other}}).difference != expected, name
    asked["number"] = 3
    again = judged({"champion": rule}).difference
    assert again is not None
    assert again.level == pytest.approx(0.02 / 6)


def test_what_the_rows_are_too_few_to_tell_takes_a_person_by_default(asked: dict[str, Any]) -> None:
    asked["evidence"] = evidence(contender(2, scores(TRUTH, TRUTH)), contender(1, scores(TRUTH, TRUTH)))
    found = judged({})
    assert (found.result, found.passed, found.failures) == ("undecided", False, ())
    assert found.undecided is not None
    assert "too few rows to tell" in found.undecided.message
    accepted = found.accepting("champion", "marie@here: checked by hand")
    assert (accepted.result, accepted.passed, accepted.waived) == ("passed", True, {"champion": "marie@here: checked by hand"})
    refused = judged({"champion": {"too_few": "refuse"}})
    assert (refused.result, [each.check for each in refused.failures]) == ("refused", ["champion"])
    assert judged({"champion": {"too_few": "accept"}}).result == "passed"


def test_without_a_champion_there_is_no_difference(asked: dict[str, Any]) -> None:
    asked["evidence"] = evidence(GOOD)
    found = judged({})
    assert found.difference is None
    assert found.passed


def test_the_gates_findings_decide(asked: dict[str, Any]) -> None:
    asked["evidence"] = replace(evidence(GOOD, LATER), leaked=1)
    found = judged({})
    assert [each.check for each in found.failures] == ["leakage"]
    asked["evidence"] = evidence(LATER, GOOD)
    assert "champion" in {each.check for each in judged({}).failures}
    assert np.array_equal(asked["evidence"].challenger.scores.predicted, LATER.scores.predicted)


@pytest.mark.parametrize(
    ("recipes", "accept", "result"),
    [
        (RecipeDifference("macro_f1", 0.01, -0.05, 0.07, 10, 200), (), "undecided"),
        (RecipeDifference("macro_f1", 0.01, -0.05, 0.07, 10, 200), ("recipes",), "passed"),
        (RecipeDifference("macro_f1", 0.01, -0.01, 0.03, 10, 200), (), "passed"),
        (RecipeDifference("macro_f1", -0.03, -0.05, -0.01, 10, 200), ("recipes",), "refused"),
    ],
)
def test_recipes_that_too_few_rows_tell_apart_leave_the_verdict_open(
    asked: dict[str, Any], recipes: RecipeDifference, accept: tuple[str, ...], result: str
) -> None:
    of_rows = RowEvidence(familiar=len(TRUTH), new_to_both=np.zeros(len(TRUTH), dtype=np.bool_), recipes=recipes)
    asked["evidence"] = evidence(GOOD, LATER, of_rows=of_rows)
    found = judged({})
    if accept and found.undecided:
        found = found.accepting(found.undecided.check, "marie@here: the archive was read by hand")
    assert (found.result, found.passed, found.difference) == (result, result == "passed", None)
