"""Reading and writing the ledger as decisions do: once, in its place, and never without the lock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from passerelle.errors import BusyError, UsageError
from passerelle.model.ledger_entry import MOST_ENTRY_BYTES, Entry
from passerelle.names import LEDGER_ANNOUNCED, LEDGER_ENTRY
from passerelle.registry import verified as module
from passerelle.registry.anchors import confirm, removed_entries
from passerelle.registry.chain import Anchors, LedgerFault
from passerelle.registry.ledger import BEGINNING
from passerelle.registry.verified import History, VerifiedLedger, append, broken, verified_ledger
from tests.unit.registry.ledger_forgeries import entry_of, found, put
from tests.unit.registry.memory import NAME, Bucket, Mlflow, real
from tests.unit.registry.test_ledger_lines import DIGEST, ENTRY, ledger


@pytest.fixture
def mlflow() -> Mlflow:
    return Mlflow(Bucket())


def held() -> None:
    """Do not lose the lock."""


def appended(mlflow: Mlflow, of: VerifiedLedger, entry: Entry, held: Callable[[], None] = held) -> Entry | None:
    return append(real(mlflow), of, entry, None, check_lock=held)


def test_an_entry_gets_its_place_in_the_chain(mlflow: Mlflow) -> None:
    of = verified_ledger(real(mlflow), NAME)
    assert of == VerifiedLedger(NAME, ())
    assert (of.last, of.number, of.in_production, of.unwritten, of.unconfirmed) == (None, 0, None, False, False)
    first = appended(mlflow, of, entry_of(2, registered_model="other"))
    assert first is not None
    assert (first.number, first.before, first.registered_model) == (1, BEGINNING, NAME)
    of = verified_ledger(real(mlflow), NAME)
    assert (of.last, of.number, of.in_production, of.unconfirmed) == (first, 1, 2, True)
    confirm(real(mlflow), first)
    assert not verified_ledger(real(mlflow), NAME).unconfirmed
    for number, written in ((0, 2), (1, None), (2, 2), (3, None)):
        copied = Mlflow(Bucket())
        copied.objects.held, copied.held_model_tags = dict(mlflow.objects.held), dict(mlflow.held_model_tags)
        second = appended(copied, verified_ledger(real(copied), NAME), entry_of(1, number=number))
        assert (second and second.number) == written
        assert (second is None) or second.before == first.digest


def test_the_second_of_two_writers_writes_nothing(mlflow: Mlflow) -> None:
    of = verified_ledger(real(mlflow), NAME)
    assert appended(mlflow, of, entry_of(1)) is not None
    left = dict(mlflow.objects.held)
    assert appended(mlflow, of, entry_of(2)) is None
    assert mlflow.objects.held == left


def test_an_undone_first_promotion_leaves_nothing_in_production() -> None:
    assert VerifiedLedger(NAME, (replace(ENTRY, to_version=0),)).in_production is None


@pytest.mark.parametrize(("bytes_more", "fits"), [(0, True), (1, False)])
def test_an_entry_may_take_so_many_bytes(mlflow: Mlflow, bytes_more: int, fits: bool) -> None:
    entry = replace(entry_of(1), reason="")
    size = len(replace(entry, number=1, before=BEGINNING).line())
    entry = replace(entry, reason="x" * (MOST_ENTRY_BYTES - size + bytes_more))
    of = verified_ledger(real(mlflow), NAME)
    if fits:
        assert appended(mlflow, of, entry) is not None
        return
    with pytest.raises(UsageError, match="the entry takes 65,537 bytes, and the ledger holds at most 65,536 an entry") as refused:
        appended(mlflow, of, entry)
    assert "give a shorter --reason" in refused.value.message
    assert mlflow.held_model_tags == {}


def test_the_last_entry_is_the_one_that_has_to_be_confirmed(mlflow: Mlflow) -> None:
    for version in (1, 2):
        assert appended(mlflow, verified_ledger(real(mlflow), NAME), entry_of(version)) is not None
    assert verified_ledger(real(mlflow), NAME).unconfirmed, "the first entry is confirmed, the second one is not"


def test_a_history_counts_as_verified_only_where_that_is_said() -> None:
    assert not History(NAME, ()).verified


@pytest.mark.parametrize("lost_at", [1, 2])
def test_the_lock_is_asked_for_before_each_write(mlflow: Mlflow, lost_at: int) -> None:
    of = verified_ledger(real(mlflow), NAME)
    first = appended(mlflow, of, entry_of(1))
    assert first is not None
    del mlflow.objects.held[ledger(mlflow).key(1)]
    of = verified_ledger(real(mlflow), NAME)
    assert (of.unwritten, of.unconfirmed) == (True, True)
    asked = 0

    def lost() -> None:
        nonlocal asked
        asked += 1
        if asked == lost_at:
            raise BusyError("lost")

    with pytest.raises(BusyError, match="lost"):
        appended(mlflow, of, entry_of(2), lost)
    completed = lost_at == 2
    assert (ledger(mlflow).key(1) in mlflow.objects.held) is completed
    assert (LEDGER_ENTRY in mlflow.held_model_tags) is completed
    assert mlflow.held_model_tags[LEDGER_ANNOUNCED].startswith("1 ")


def test_an_entry_that_is_there_and_confirmed_is_not_written_again(mlflow: Mlflow) -> None:
    put(mlflow, 1)
    seen: list[str] = []
    of = verified_ledger(real(mlflow), NAME)
    mlflow.before_write = mlflow.objects.before_write = seen.append
    asked: list[int] = []
    appended(mlflow, of, entry_of(2), lambda: asked.append(1))
    assert [each.rpartition("/")[2] for each in seen] == [f"model tag {LEDGER_ANNOUNCED}", "head.json", "000002.jsonl"]
    assert asked == [1]


def test_what_was_read_counts_while_the_head_is_the_same(mlflow: Mlflow) -> None:
    put(mlflow, 1)
    since = verified_ledger(real(mlflow), NAME)
    mlflow.objects.reads = 0
    assert verified_ledger(real(mlflow), NAME, since=since) is since
    assert mlflow.objects.reads == 1
    put(mlflow, 2)
    assert verified_ledger(real(mlflow), NAME, since=since).number == 2


def test_the_first_finding_is_told_and_how_many_there_are() -> None:
    one, more = broken(NAME, (LedgerFault(3, "gone"),)), broken(NAME, (LedgerFault(3, "gone"), LedgerFault(4, "a"), LedgerFault(5, "b")))
    assert one.message == f"the ledger of '{NAME}' is broken at entry 3: gone"
    assert more.message == f"the ledger of '{NAME}' is broken at entry 3: gone (2 more faults)"
    assert one.hint == "passerelle history --verify"


def test_a_ledger_that_changes_with_each_reading_is_read_five_times(mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch) -> None:
    readings: list[int] = []

    def changes(*_: Any) -> Anchors:
        readings.append(len(readings))
        return Anchors(frozenset({(len(readings), DIGEST)}))

    monkeypatch.setattr(module, "read_anchors", changes)
    with pytest.raises(BusyError, match=f"the ledger of '{NAME}' is being written continuously") as refused:
        verified_ledger(real(mlflow), NAME)
    assert refused.value.hint == "passerelle status"
    assert len(readings) == 5


def test_a_break_is_one_after_two_readings_that_agree(mlflow: Mlflow) -> None:
    put(mlflow, 1)
    mlflow.objects.held[ledger(mlflow).key(1)] = b"{}"
    mlflow.objects.reads = 0
    assert [each.number for each in found(mlflow).findings] == [1]
    assert mlflow.objects.reads == 4, "head and entry, twice"


def test_history_says_whether_and_since_when_it_is_signed(mlflow: Mlflow) -> None:
    put(mlflow, 1)
    seen = found(mlflow)
    assert (seen.verified, seen.signed_from, seen.registered_model) == (True, None, NAME)


def test_a_ledger_that_was_put_back_with_its_tags_is_told_by_what_runs_know(mlflow: Mlflow) -> None:
    kept: dict[int, tuple[Any, ...]] = {}
    for number, (before, after) in enumerate(((None, 1), (1, 2), (2, 1)), start=1):
        written = appended(mlflow, verified_ledger(real(mlflow), NAME), entry_of(after, from_version=before))
        assert written is not None
        confirm(real(mlflow), written)
        kept[number] = dict(mlflow.objects.held), dict(mlflow.held_model_tags), {key: dict(tags) for key, tags in mlflow.tags.items()}
    entries = verified_ledger(real(mlflow), NAME).entries
    assert list(removed_entries(real(mlflow), NAME, entries)) == []
    # Version 2, which a rollback took out of production, is to be there again, and nothing but the parameters of runs tells.
    mlflow.objects.held, mlflow.held_model_tags, mlflow.tags = kept[2]
    left = verified_ledger(real(mlflow), NAME)
    assert (left.number, left.in_production) == (2, 2)
    found = list(removed_entries(real(mlflow), NAME, left.entries))
    assert [f"knows an entry 3 of the ledger, {entries[2].digest}, which is missing here" in each for each in found] == [True, True]
    forged = appended(mlflow, left, entry_of(3, from_version=2))
    assert forged is not None
    confirm(real(mlflow), forged)
    found = list(removed_entries(real(mlflow), NAME, verified_ledger(real(mlflow), NAME).entries))
    assert ["which is another here" in each for each in found] == [True, True]
