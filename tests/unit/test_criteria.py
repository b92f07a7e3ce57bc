"""The digest of criteria, which goes with each version and each entry of the ledger."""

from __future__ import annotations

import hashlib

import pytest
from pydantic import ValidationError

from passerelle.criteria import Criteria, Drift, Rollout


def test_criteria_without_limits_for_a_candidate_keep_their_digest() -> None:
    criteria = Criteria(minimum={"cv_accuracy": 0.45})
    assert criteria.digest == "sha256:c18f5668551f824fdfd12c965b51ee0164de821b6dfc9916b460b0b58b49bc63"
    assert criteria.digest == "sha256:" + hashlib.sha256(criteria.canonical.encode()).hexdigest()


def test_limits_for_a_candidate_are_part_of_the_digest() -> None:
    digests = {Criteria(rollout=rollout).digest for rollout in (Rollout(), Rollout(min_requests=50))} | {Criteria().digest}
    assert len(digests) == 3


def test_limits_of_drift_are_part_of_the_digest_where_they_are_given() -> None:
    digests = {Criteria(drift=drift).digest for drift in (Drift(), Drift(days_in_row=3))} | {Criteria().digest}
    assert len(digests) == 3
    assert '"drift"' not in Criteria().canonical


@pytest.mark.parametrize("wrong", [{"p_value": 0}, {"days_in_row": 0}, {"class_points": 3}, {"silent_days": 61}, {"psi": 0.2}])
def test_limits_of_drift_that_cannot_be_meant_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Drift.model_validate(wrong)


@pytest.mark.parametrize("wrong", [{"max_error_share": 1.1}, {"max_latency_ratio": 0}, {"min_requests": 0}, {"max_errors": 1}])
def test_limits_that_cannot_be_meant_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Rollout.model_validate(wrong)


def test_former_keys_that_say_the_same_today_are_taken() -> None:
    former = Criteria.model_validate({"champion": {"must_be_better": False, "not_worse_by": 0.1, "margin_on": "interval"}})
    assert former == Criteria.model_validate({"champion": {"margin": 0.1}})
    assert former.digest == Criteria.model_validate({"champion": {"margin": 0.1}}).digest
