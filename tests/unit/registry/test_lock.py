"""The lock of promotions: one holder at a time; a holder that lost it stops, and an abandoned lock goes stale."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import cast

import pytest

from passerelle.errors import BusyError, NotFoundError, OutsideError
from passerelle.registry.lock import STALE_S, promotion_lock, promotion_locks
from passerelle.registry.objects import Objects
from tests.unit.registry.memory import Bucket

KEY = "ledger/team%2Fcomments/lock.json"


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


def lock(bucket: Bucket, who: str = "marie@here") -> AbstractContextManager[Callable[[], None]]:
    return promotion_lock(cast("Objects", bucket), "team/comments", who, "promote of version 2")


def left_behind(bucket: Bucket, content: bytes = b'{"who": "paul@there", "doing": "rollback of version 1"}', age_s: float = 0.0) -> None:
    bucket.held[KEY], bucket.ages_s[KEY] = content, age_s


def test_the_lock_says_who_does_what_and_is_given_back(bucket: Bucket) -> None:
    with lock(bucket) as held:
        held()
        content = json.loads(bucket.held[KEY])
        assert (content["who"], content["doing"], len(content["token"])) == ("marie@here", "promote of version 2", 16)
    assert bucket.held == {}


def test_it_is_given_back_after_a_failure(bucket: Bucket) -> None:
    with pytest.raises(OSError, match="disk"), lock(bucket):
        raise OSError("disk")
    assert bucket.held == {}


def test_two_holders_of_the_same_name_are_two(bucket: Bucket) -> None:
    with lock(bucket), pytest.raises(BusyError), lock(bucket):
        pytest.fail("both hold it")
    assert bucket.held == {}


def test_whoever_comes_second_is_told_who_holds_it_and_since_when(bucket: Bucket) -> None:
    left_behind(bucket, age_s=STALE_S)
    with pytest.raises(BusyError) as refused, lock(bucket):
        pytest.fail("it is held")
    assert refused.value.message == "paul@there holds the lock: rollback of version 1, for 120 s now"
    assert refused.value.hint == "passerelle status"
    assert json.loads(bucket.held[KEY])["who"] == "paul@there"


def test_a_stale_lock_is_taken_over_and_given_back(bucket: Bucket) -> None:
    left_behind(bucket, age_s=STALE_S + 1)
    with lock(bucket) as held:
        held()
        assert json.loads(bucket.held[KEY])["who"] == "marie@here"
    assert bucket.held == {}


def test_of_two_that_take_over_a_stale_lock_one_gets_it(bucket: Bucket) -> None:
    left_behind(bucket, age_s=STALE_S + 1)

    def other_is_first(_: str) -> None:
        bucket.held[KEY] = b'{"who": "paul@there", "doing": "other"}'

    bucket.before_write = other_is_first
    bucket.create = lambda *_: False  # type: ignore[method-assign]
    with pytest.raises(BusyError, match="paul@there holds the lock"), lock(bucket):
        pytest.fail("the other has it")
    assert json.loads(bucket.held[KEY])["doing"] == "other"


@pytest.mark.parametrize("content", [b"\xff", b"{", b"[1]", b"3", b"[" * 4_000, b"null"])
def test_a_lock_that_says_nothing_is_a_lock_all_the_same(bucket: Bucket, content: bytes) -> None:
    left_behind(bucket, content)
    with pytest.raises(BusyError, match="somebody holds the lock: something"), lock(bucket):
        pytest.fail("it is held")
    left_behind(bucket, content, age_s=STALE_S + 1)
    with lock(bucket):
        assert json.loads(bucket.held[KEY])["who"] == "marie@here"


def test_a_lock_that_says_only_who_is_told_so(bucket: Bucket) -> None:
    left_behind(bucket, b'{"who": "paul@there"}')
    with pytest.raises(BusyError, match="paul@there holds the lock: something"), lock(bucket):
        pytest.fail("it is held")


def test_what_is_too_large_for_a_lock_goes_stale_like_any_other(bucket: Bucket) -> None:
    left_behind(bucket, b" " * 4_097, age_s=STALE_S - 1)
    with pytest.raises(BusyError, match="somebody holds the lock"), lock(bucket):
        pytest.fail("it is held")
    for size in (4_097, 4_096):
        left_behind(bucket, b" " * size, age_s=STALE_S + 1)
        with lock(bucket):
            pass


def test_a_lock_that_ends_between_two_looks_asks_to_try_again(bucket: Bucket) -> None:
    bucket.create = lambda *_: False  # type: ignore[method-assign]
    with pytest.raises(BusyError, match="another promotion has just ended") as refused, lock(bucket):
        pytest.fail("it was never taken")
    assert refused.value.hint == "passerelle status"


@pytest.mark.parametrize("content", [None, b"other", b" " * 5_000])
def test_whoever_lost_the_lock_does_not_go_on_and_takes_nothing_away(bucket: Bucket, content: bytes | None) -> None:
    with pytest.raises(BusyError, match=r"longer than 120 s, and somebody else has gone on") as refused, lock(bucket) as held:
        bucket.held = {} if content is None else {KEY: content}
        held()
    assert refused.value.hint == "passerelle status"
    assert bucket.held == ({} if content is None else {KEY: content})


def test_a_lock_that_cannot_be_given_back_hides_no_failure(bucket: Bucket) -> None:
    def fails(key: str) -> None:
        raise OutsideError("S3 does not answer")

    with pytest.raises(NotFoundError, match="inside"), lock(bucket):
        bucket.delete = fails  # type: ignore[method-assign]
        raise NotFoundError("inside")
    with pytest.raises(RuntimeError, match="a fault of ours"), lock(Bucket()):
        raise RuntimeError("a fault of ours")


def test_several_models_are_held_together_and_a_single_lost_lock_counts(bucket: Bucket) -> None:
    with promotion_locks(cast("Objects", bucket), ["b", "a"], "marie@here", "a backup") as check_locks:
        check_locks()
        assert sorted(bucket.held) == ["ledger/a/lock.json", "ledger/b/lock.json"]
        bucket.held["ledger/b/lock.json"] = b"{}"
        with pytest.raises(BusyError, match="somebody else has gone on"):
            check_locks()
    assert list(bucket.held) == ["ledger/b/lock.json"]
