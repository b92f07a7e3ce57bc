"""The choice between two versions depends on the key alone, and holds the weight."""

from __future__ import annotations

import pytest

from passerelle.serving.following.choice import falls_to_candidate

KEYS = [f"user {number}".encode() for number in range(10_000)]


def chosen(version: str, weight: int) -> set[bytes]:
    return {key for key in KEYS if falls_to_candidate(key, version, weight)}


def test_all_or_nothing() -> None:
    assert chosen("3", 0) == set()
    assert chosen("3", 100) == set(KEYS)


@pytest.mark.parametrize("weight", [1, 10, 50, 90])
def test_the_share_is_the_weight(weight: int) -> None:
    # Four standard deviations of the binomial distribution; the keys are always the same.
    assert abs(len(chosen("3", weight)) - 100 * weight) < 4 * (100 * weight * (100 - weight) / 100) ** 0.5


def test_a_larger_weight_keeps_who_was_chosen() -> None:
    assert chosen("3", 5) < chosen("3", 10) < chosen("3", 50)


def test_another_candidate_gets_others() -> None:
    assert 20 < len(chosen("3", 10) & chosen("4", 10)) < 200


def test_the_choice_is_the_same_in_each_version_of_the_service() -> None:
    assert [place for place, key in enumerate(KEYS[:60]) if falls_to_candidate(key, "3", 10)] == [7, 10, 17, 32, 35, 40]
