"""Who may promote by other criteria than those of the last promotion, and what the ledger keeps of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from passerelle.criteria import Criteria, HeldOut
from passerelle.errors import RefusedError
from passerelle.model.ledger_entry import CANDIDATE, UNDONE, CandidateTerms, Entry
from passerelle.stages.acceptance import Reasons
from passerelle.stages.criteria_change import check_criteria, criteria_before
from passerelle.stages.demo_ownership import REASON
from tests.unit.registry.ledger_forgeries import entry_of

STRICT, LENIENT = Criteria(held_out=HeldOut(minimum={"macro_f1": 0.9})), Criteria()
FIRST = entry_of(1, number=1, criteria_digest=STRICT.digest)
TERMS = CandidateTerms("canary", 10, "X-Key")


def undone(entry: Entry) -> Entry:
    return replace(entry_of(1, number=entry.number + 1), what=UNDONE)


LATER = entry_of(2, number=2, criteria_digest=LENIENT.digest)


@pytest.mark.parametrize(
    ("entries", "criteria", "of_project", "before"),
    [
        ((), LENIENT, None, None),
        ((), LENIENT, STRICT.digest, STRICT.digest),
        ((), STRICT, STRICT.digest, None),
        ((FIRST,), STRICT, LENIENT.digest, None),
        ((FIRST,), LENIENT, LENIENT.digest, STRICT.digest),
        ((FIRST, LATER), LENIENT, None, None),
        ((FIRST, LATER, undone(LATER)), LENIENT, None, STRICT.digest),
        ((FIRST, replace(LATER, reason=REASON)), LENIENT, None, STRICT.digest),
        ((FIRST, replace(LATER, what="rollback")), LENIENT, None, STRICT.digest),
        ((FIRST, replace(LATER, what=CANDIDATE, candidate=TERMS)), LENIENT, None, None),
    ],
)
def test_the_last_promotion_pins_the_criteria(
    entries: tuple[Entry, ...], criteria: Criteria, of_project: str | None, before: str | None
) -> None:
    assert criteria_before(entries, criteria, of_project) == before


@pytest.mark.parametrize(
    ("who", "reason", "development", "refused"),
    [
        ("marie@here", None, False, True),
        ("marie@here", " ", False, True),
        ("ci:42 by runner@here", "the criteria changed", False, True),
        ("marie@here", "decided on 3 March", False, False),
        ("ci:42 by runner@here", None, True, False),
    ],
)
def test_in_production_a_person_changes_them_for_a_reason(who: str, reason: str | None, development: bool, refused: bool) -> None:
    def check() -> None:
        check_criteria(STRICT.digest, LENIENT, Reasons(who, reason), development=development, retry="passerelle promote")

    if not refused:
        check()
        return
    with pytest.raises(RefusedError, match="it takes the reason of a person who accepts that"):
        check()


def test_the_same_criteria_need_no_reason() -> None:
    check_criteria(None, LENIENT, Reasons("ci:42 by runner@here", None), development=False, retry="passerelle promote")


def test_an_entry_without_a_change_is_the_line_that_it_was() -> None:
    assert b"criteria_before" not in FIRST.line()
    assert b"criteria_before" in replace(FIRST, criteria_before=LENIENT.digest).line()
