"""Whether the demo may promote: only where nothing is in production, or what it put there itself."""

from __future__ import annotations

import pytest

from passerelle.model.ledger_entry import Entry
from passerelle.registry.production import Standing
from passerelle.stages.demo_ownership import REASON, of_others

PRODUCTION, ARCHIVED = "Production", "Archived"
EMPTY = Standing(None, None, {})


def entry(
    number: int, to: int, *, before: int | None = None, what: str = "promote", reason: str | None = REASON, who: str = "a@b"
) -> Entry:
    return Entry(number, "", "2026-11-25T10:00:00.000+00:00", who, what, "classification", before, to, "", "", reason=reason)


def undone(number: int, to: int, *, before: int) -> Entry:
    return entry(number, to, before=before, what="undone", reason="promote failed: KeyboardInterrupt")


def said(entries: list[Entry], now: Standing, own: set[int] | None = None) -> str | None:
    return of_others(entries, now, {1, 2} if own is None else own, "production")


ITS_OWN = {
    "nothing was ever in production": ([], EMPTY),
    "versions that were never promoted": ([], Standing(None, None, {1: "None", 2: "None"})),
    "its own promotion": ([entry(1, 1)], Standing(1, None, {1: PRODUCTION})),
    "its second one": ([entry(1, 1), entry(2, 2, before=1)], Standing(2, 1, {1: ARCHIVED, 2: PRODUCTION})),
    "killed before the alias of the first one": ([entry(1, 1)], Standing(None, None, {1: "None"})),
    "killed before the stage": ([entry(1, 1)], Standing(1, None, {1: "None"})),
    "killed before the alias of the second one": (
        [entry(1, 1), entry(2, 2, before=1)],
        Standing(1, 1, {1: PRODUCTION, 2: "None"}),
    ),
    "killed before the former one left the stage": (
        [entry(1, 1), entry(2, 2, before=1)],
        Standing(2, 1, {1: PRODUCTION, 2: PRODUCTION}),
    ),
    "interrupted and put back": ([entry(1, 1), undone(2, 0, before=1)], Standing(None, None, {1: "None"})),
    "interrupted at the second one and put back": (
        [entry(1, 1), entry(2, 2, before=1), undone(3, 1, before=2)],
        Standing(1, None, {1: PRODUCTION, 2: "None"}),
    ),
    "somebody's promotion over it that failed": (
        [entry(1, 1), entry(2, 3, before=1, reason=None), undone(3, 1, before=3)],
        Standing(1, None, {1: PRODUCTION, 3: "None"}),
    ),
}


@pytest.mark.parametrize("found", ITS_OWN)
def test_it_may_promote_over_nothing_and_over_itself(found: str) -> None:
    entries, now = ITS_OWN[found]
    assert said(entries, now) is None


OF_OTHERS = {
    "somebody promoted": (
        [entry(1, 1), entry(2, 3, before=1, reason="ready", who="marie@bureau")],
        Standing(3, 1, {1: ARCHIVED, 3: PRODUCTION}),
        "version 3 was put into production by marie@bureau at 2026-11-25T10:00:00 (promote: ready)",
    ),
    "somebody promoted without a reason": (
        [entry(1, 3, reason=None, who="marie@bureau")],
        Standing(3, None, {3: PRODUCTION}),
        "by marie@bureau at 2026-11-25T10:00:00 (promote)",
    ),
    "a rollback to its own version": (
        [entry(1, 1), entry(2, 2, before=1), entry(3, 1, before=2, what="rollback", reason=None)],
        Standing(1, 2, {1: PRODUCTION, 2: ARCHIVED}),
        "version 1 was put into production by a@b at 2026-11-25T10:00:00 (rollback)",
    ),
    "a rollback that gives its reason": (
        [entry(1, 1), entry(2, 1, before=2, what="rollback", reason=REASON)],
        Standing(1, 2, {1: PRODUCTION}),
        "(rollback: ",
    ),
    "somebody's version under its reason": ([entry(1, 3)], Standing(3, None, {3: PRODUCTION}), "version 3 was put into production"),
    "the alias moved by hand": (
        [entry(1, 1)],
        Standing(3, None, {1: PRODUCTION}),
        "version 3 holds the alias production, moved by hand since the demo promoted version 1",
    ),
    "the alias moved back by hand": (
        [entry(1, 1), entry(2, 2, before=1)],
        Standing(1, 1, {1: ARCHIVED, 2: PRODUCTION}),
        "version 1 holds the alias production, moved by hand since the demo promoted version 2",
    ),
    "the alias taken away by hand": ([entry(1, 1)], Standing(None, None, {1: PRODUCTION}), "no version holds the alias production"),
    "another version put into the stage by hand": (
        [entry(1, 1)],
        Standing(1, None, {1: PRODUCTION, 3: PRODUCTION}),
        "version 3 was put into the stage Production by hand",
    ),
    "an alias without a ledger": (
        [],
        Standing(3, None, {3: "None"}),
        "version 3 holds the alias production, and no promotion put it there",
    ),
    "a stage without a ledger": ([], Standing(None, None, {3: PRODUCTION}), "version 3 is in the stage Production, and no promotion"),
    "an alias that it lost while its promotion was put back": (
        [entry(1, 1), undone(2, 0, before=1)],
        Standing(3, None, {1: "None"}),
        "version 3 holds the alias production, and no promotion put it there",
    ),
}


@pytest.mark.parametrize("found", OF_OTHERS)
def test_it_says_who_put_there_what_it_leaves_alone(found: str) -> None:
    entries, now, sentence = OF_OTHERS[found]
    assert sentence in (said(entries, now) or "")
