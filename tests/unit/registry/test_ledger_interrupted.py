"""A writer that dies after any of its steps leaves a ledger that is whole: the next command goes on without a repair by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from passerelle.errors import BusyError, IntegrityError, OutsideError
from passerelle.names import LEDGER_ANNOUNCED
from passerelle.registry.ledger import Ledger, LedgerHead
from passerelle.registry.objects import Objects
from passerelle.stages.rollback import rollback
from tests.unit.registry.ledger_forgeries import Forger, append_with_head, found, put
from tests.unit.registry.memory import NAME, Bucket, Mlflow, real
from tests.unit.registry.test_ledger import gathered

#: What a promotion writes, in order, and the version that the ledger has in production when the writer dies just before.
STEPS = {
    "model tag passerelle.ledger_announced": 1,
    "head.json": 1,
    "ledger/comments/000002.jsonl": 2,
    "artifact passerelle/ledger/000002.jsonl": 2,
    "model tag passerelle.ledger_entry": 2,
    "version tag": 2,
    "alias previous": 2,
    "alias production": 2,
    "stage Production": 2,
    "stage Archived": 2,
}


class KilledError(BaseException):
    """The process is gone: nothing of it runs any more."""


def dies_before(mlflow: Mlflow, step: str) -> None:
    """Let every write fail from this one on, as of a process that is gone."""
    gone = False

    def write(what: str) -> None:
        nonlocal gone
        gone = gone or what.endswith(step)
        if gone:
            raise KilledError

    mlflow.before_write = mlflow.objects.before_write = write


def lives_again(mlflow: Mlflow) -> None:
    mlflow.before_write = mlflow.objects.before_write = lambda _: None
    # The lock of the dead goes stale.
    mlflow.objects.held = {key: content for key, content in mlflow.objects.held.items() if not key.endswith("lock.json")}


@pytest.fixture
def mlflow() -> Mlflow:
    mlflow = Mlflow(Bucket())
    put(mlflow, 1)
    return mlflow


def promoted_again(mlflow: Mlflow) -> None:
    assert put(mlflow, 2).changed
    assert mlflow.held_aliases == {"previous": 1, "production": 2}


def another_promoted(mlflow: Mlflow) -> None:
    assert put(mlflow, 3).changed
    assert mlflow.held_aliases["production"] == 3


def rolled_back(mlflow: Mlflow) -> None:
    rollback(real(mlflow), who="paul@here", version=1)
    assert mlflow.held_aliases["production"] == 1


def what_status_names(mlflow: Mlflow) -> None:
    for command in gathered(mlflow):
        assert command.startswith("passerelle rollback --version ")
        rollback(real(mlflow), who="paul@here", version=int(command.rpartition(" ")[2]))


@pytest.mark.parametrize("then", [promoted_again, another_promoted, rolled_back, what_status_names], ids=lambda then: then.__name__)
@pytest.mark.parametrize("step", STEPS)
def test_the_next_command_goes_on(mlflow: Mlflow, step: str, then: Callable[[Mlflow], None]) -> None:
    dies_before(mlflow, step)
    with pytest.raises(KilledError):
        put(mlflow, 2)
    lives_again(mlflow)
    history = found(mlflow)
    assert history.findings == ()
    assert history.entries[-1].to_version == STEPS[step]
    then(mlflow)
    assert found(mlflow).findings == ()
    assert gathered(mlflow) == []


@pytest.mark.parametrize("step", STEPS)
def test_two_that_die_one_after_the_other_leave_it_whole_too(mlflow: Mlflow, step: str) -> None:
    for first in STEPS:
        for version, where in ((2, first), (3, step)):
            dies_before(mlflow, where if not where.endswith("000002.jsonl") else ".jsonl")
            with pytest.raises(KilledError):
                put(mlflow, version)
            lives_again(mlflow)
            assert found(mlflow).findings == ()
        promoted = put(mlflow, 1)
        assert promoted.changed or gathered(mlflow) == []
        what_status_names(mlflow)
        assert (found(mlflow).findings, gathered(mlflow)) == ((), [])


@pytest.mark.parametrize("step", ["ledger/comments/000002.jsonl", "model tag passerelle.ledger_entry"])
def test_what_a_dead_writer_left_is_completed_before_the_next_entry(mlflow: Mlflow, step: str) -> None:
    dies_before(mlflow, step)
    with pytest.raises(KilledError):
        put(mlflow, 2)
    lives_again(mlflow)
    put(mlflow, 3)
    ledger = Ledger(cast("Objects", mlflow.objects), NAME)
    assert all(ledger.key(number) in mlflow.objects.held for number in (1, 2, 3))
    assert [entry.to_version for entry in found(mlflow).entries] == [1, 2, 3]


def test_an_entry_that_was_confirmed_and_then_removed_is_no_interruption(mlflow: Mlflow) -> None:
    put(mlflow, 2)
    ledger = Ledger(cast("Objects", mlflow.objects), NAME)
    first = found(mlflow).entries[0]
    last = mlflow.objects.held.pop(ledger.key(2))
    assert [finding.number for finding in found(mlflow).findings] == [2], "the head alone still holds it"
    mlflow.objects.held[ledger.head_key] = LedgerHead(1, first.digest, first.line().decode()).content()
    assert [finding.number for finding in found(mlflow).findings] == [2], "the head was put back with it"
    mlflow.objects.held[ledger.key(2)] = last
    assert (found(mlflow).findings, len(found(mlflow).entries)) == ((), 2), "the entry is there again, and MLflow knows it"
    assert found(mlflow).damaged_head is not None


def test_an_announcement_vouches_for_no_other_entry(mlflow: Mlflow) -> None:
    dies_before(mlflow, "head.json")
    with pytest.raises(KilledError):
        put(mlflow, 2)
    lives_again(mlflow)
    assert mlflow.held_model_tags[LEDGER_ANNOUNCED].startswith("2 ")
    append_with_head(Forger(mlflow))
    assert [finding.number for finding in found(mlflow).findings] == [2]


def test_who_reads_while_another_writes_sees_no_break(mlflow: Mlflow) -> None:
    seen: list[tuple[object, ...]] = []

    def look(_: str) -> None:
        seen.append(found(mlflow).findings)

    mlflow.before_write = mlflow.objects.before_write = look
    for version in (2, 3, 1):
        put(mlflow, version)
    assert len(seen) > 25
    assert set(seen) == {()}


def test_a_reading_that_a_writer_cut_in_two_is_done_again(mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch) -> None:
    real_read, cut = Ledger.read, [True]

    def read(self: Ledger, *, most: int) -> object:
        # After MLflow was read, and before S3 is.
        if cut.pop() if cut else False:
            put(mlflow, 2)
        return real_read(self, most=most)

    monkeypatch.setattr(Ledger, "read", read)
    assert found(mlflow).findings == ()
    assert [entry.to_version for entry in found(mlflow).entries] == [1, 2]


def test_a_failure_is_not_noted_in_a_ledger_that_was_forged_meanwhile(mlflow: Mlflow) -> None:
    def fails(what: str) -> None:
        if what == "stage Production":
            mlflow.before_write = lambda _: None
            append_with_head(Forger(mlflow))
            raise OutsideError("MLflow went away")

    mlflow.before_write = fails
    with pytest.raises(OutsideError, match="went away") as failed:
        put(mlflow, 2)
    assert any("broken at entry 3" in note for note in failed.value.__notes__)
    assert mlflow.held_aliases == {"production": 1}
    assert [entry.what for entry in found(mlflow).entries] == ["promote", "promote", "promote"]
    with pytest.raises(IntegrityError, match="broken at entry 3"):
        put(mlflow, 2)


def test_who_lost_the_lock_tells_mlflow_nothing(mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(what: str) -> None:
        if what.endswith("lock.json"):
            mlflow.objects.before_write = lambda _: None
            monkeypatch.setattr(mlflow, "aliases", lose)

    aliases = mlflow.aliases

    def lose(name: str) -> dict[str, int]:
        mlflow.objects.held[f"ledger/{NAME}/lock.json"] = b'{"who": "paul@here"}'
        return aliases(name)

    mlflow.objects.before_write = taken
    tags = dict(mlflow.held_model_tags)
    with pytest.raises(BusyError):
        put(mlflow, 2)
    assert mlflow.held_model_tags == tags
    assert [entry.to_version for entry in found(mlflow).entries] == [1]
