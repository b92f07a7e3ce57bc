"""What of a chain of entries is wrong, and what MLflow knows of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from passerelle.model.ledger_entry import Entry, digest_of
from passerelle.names import LEDGER_ANNOUNCED, LEDGER_ENTRY
from passerelle.registry.anchors import announce, confirm, read_anchors
from passerelle.registry.chain import UNANCHORED, Anchors, Chain, examine, stood
from passerelle.registry.ledger import BEGINNING, LedgerHead, Stored, entry_name
from tests.unit.registry.memory import NAME, Bucket, Mlflow, real
from tests.unit.registry.test_ledger_lines import DIGEST, ENTRY


@pytest.fixture
def mlflow() -> Mlflow:
    return Mlflow(Bucket())


def chained(*changed: dict[str, Any]) -> list[Entry]:
    """Return as many entries, each chained to the one before, with these fields changed."""
    entries: list[Entry] = []
    for number, fields in enumerate(changed, start=1):
        before = entries[-1].digest if entries else BEGINNING
        given: dict[str, Any] = {"number": number, "before": before} | fields
        entries.append(replace(ENTRY, **given))
    return entries


def stored(entries: list[Entry], head: Entry | bytes | None = None, *, keys: dict[int, str] | None = None) -> Stored:
    lines = tuple((f"ledger/{NAME}/" + (keys or {}).get(place, entry_name(place)), each.line()) for place, each in enumerate(entries, 1))
    last = entries[-1] if head is None and entries else head
    content = LedgerHead(last.number, last.digest, last.line().decode()).content() if isinstance(last, Entry) else last
    return Stored(lines, content, "tag")


def problems(of: Stored, anchors: Anchors | None = None) -> list[tuple[int, str]]:
    return [(each.number, each.problem) for each in examine(NAME, of, anchors).faults]


def test_a_chain_that_is_whole_has_no_findings() -> None:
    entries = chained({}, {}, {})
    anchors = Anchors(frozenset((each.number, each.digest) for each in entries))
    assert examine(NAME, stored(entries), anchors) == examine(NAME, stored(entries), None) == Chain(tuple(entries), (), False)
    assert examine(NAME, Stored((), None, None), Anchors()) == Chain((), (), False)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"number": 5}, [(2, "its object holds entry 5")]),
        ({"registered_model": "other"}, [(2, "it is an entry of another registered model")]),
        (
            {"before": "sha256:0"},
            [(2, "it is not chained to the entry before: one of the two was changed, or an entry was removed or inserted")],
        ),
    ],
)
def test_an_entry_that_does_not_fit_is_named(changed: dict[str, Any], expected: list[tuple[int, str]]) -> None:
    assert problems(stored(chained({}, changed, {}), chained({}, changed, {})[-1])) == expected


def test_a_line_that_is_written_otherwise_is_named() -> None:
    entries = chained({})
    spaced = json.dumps(json.loads(entries[0].line())).encode()
    of = Stored(((f"ledger/{NAME}/000001.jsonl", spaced),), LedgerHead(1, digest_of(spaced), "").content(), "tag")
    assert problems(of) == [(1, "its line is not the one that passerelle writes for these fields")]


def test_what_cannot_be_read_ends_the_chain() -> None:
    entries = chained({}, {}, {})
    of = stored(entries, keys={2: "000009.jsonl"})
    assert problems(of) == [(2, "its object ledger/comments/000002.jsonl is missing: the next one there is 'ledger/comments/000009.jsonl'")]
    key = f"ledger/{NAME}/000002.jsonl"
    for content, problem in ((None, "is larger than any entry, or was removed while it was read"), (b"{}", "does not hold an entry")):
        broken_off = replace(of, lines=(stored(entries).lines[0], (key, content), stored(entries).lines[2]))
        found = examine(NAME, broken_off, None)
        assert (found.entries, found.unwritten) == ((entries[0],), False)
        assert [(each.number, each.problem) for each in found.faults] == [(2, f"its object {key} {problem}")]


def test_the_head_must_name_the_last_entry() -> None:
    one, two, three = chained({}, {}, {})
    other = replace(two, who="paul@here")
    for head, expected in (
        (b"{", [(2, "the head, the object that names the last entry, cannot be read")]),
        (LedgerHead(9, "sha256:0").content(), [(3, "it is missing: the head names entry 9 as the last one")]),
        (one, []),
        (other, [(2, "the head names another entry of this number: one of the two was changed")]),
        (three, []),
    ):
        assert problems(stored([one, two], head)) == expected
    missing = Stored(stored([one, two]).lines, None, None)
    assert problems(missing) == [(2, "the head, the object that names the last entry, is missing")]


def test_an_entry_that_only_the_head_holds_is_the_last_one() -> None:
    one, two, three = chained({}, {}, {})
    found = examine(NAME, stored([one, two], three), Anchors(announced=(3, three.digest)))
    assert (found.entries, found.faults, found.unwritten) == ((one, two, three), (), True)
    confirmed = Anchors(frozenset({(3, three.digest)}))
    assert problems(stored([one, two], three), confirmed) == [(3, "its object was removed: only the head still holds it")]
    missing = [(3, "it is missing: the head names entry 3 as the last one")]
    line = three.line().decode()
    for head in (
        LedgerHead(3, three.digest),
        LedgerHead(3, three.digest, "{}"),
        LedgerHead(3, two.digest, line),
        LedgerHead(3, digest_of(line.strip().encode()), line.strip()),
        *(LedgerHead(each.number, each.digest, each.line().decode()) for each in chained({}, {}, {"before": "sha256:0"})[2:]),
        *(LedgerHead(each.number, each.digest, each.line().decode()) for each in chained({}, {}, {"registered_model": "other"})[2:]),
    ):
        assert problems(stored([one, two], head.content())) == missing
    inner = replace(three, number=4)
    assert problems(stored([one, two], LedgerHead(3, inner.digest, inner.line().decode()).content())) == missing
    assert problems(stored([one, two], LedgerHead(4, inner.digest, inner.line().decode()).content()))[0][0] == 3


def test_what_mlflow_knows_must_be_there() -> None:
    one, two = chained({}, {})
    unknown = "MLflow does not know it, and passerelle tells MLflow of an entry before it writes one: somebody else wrote it"
    other = "MLflow knows another entry of this number: this one was changed or inserted"
    removed = "MLflow knows it, and it is missing here: it was removed"
    for anchors, expected in (
        (Anchors(), [(2, UNANCHORED)]),
        (Anchors(frozenset({(1, one.digest)})), [(2, unknown)]),
        (Anchors(announced=(2, two.digest)), []),
        (Anchors(announced=(2, one.digest)), [(2, unknown)]),
        (Anchors(frozenset({(2, two.digest)})), []),
        (Anchors(frozenset({(2, one.digest)})), [(2, other)]),
        (Anchors(frozenset({(1, two.digest), (2, two.digest)})), [(1, other)]),
        (Anchors(frozenset({(2, two.digest), (3, one.digest)})), [(3, removed)]),
        (Anchors(frozenset({(2, two.digest), (0, one.digest)})), [(0, removed)]),
    ):
        assert problems(stored([one, two]), anchors) == expected
    assert problems(Stored((), None, None), Anchors(frozenset({(1, one.digest)}))) == [(1, removed)]


def test_what_mlflow_was_told_last() -> None:
    assert Anchors().last_number is None
    assert Anchors(announced=(3, "")).last_number == 3
    assert Anchors(frozenset({(1, ""), (2, "")}), (1, "")).last_number == 2
    assert Anchors(frozenset({(1, DIGEST)})).know(ENTRY)
    assert Anchors(announced=(1, DIGEST)).know(ENTRY)
    assert not Anchors(frozenset({(2, DIGEST)}), (1, "")).know(ENTRY)


def test_what_stood_was_carried_out() -> None:
    what = ("promote", "undone", "promote", "rollback", "undone", "undone", "promote")
    entries = [replace(ENTRY, number=number, what=each) for number, each in enumerate(what)]
    assert [entry.number for entry in stood(entries)] == [2, 6]
    assert list(stood([])) == []


def test_mlflow_is_told_before_and_after(mlflow: Mlflow) -> None:
    announce(real(mlflow), ENTRY)
    assert mlflow.held_model_tags == {LEDGER_ANNOUNCED: f"1 {DIGEST}"}
    assert LEDGER_ENTRY not in mlflow.tags[2]
    confirm(real(mlflow), ENTRY)
    assert mlflow.held_model_tags == {LEDGER_ANNOUNCED: f"1 {DIGEST}", LEDGER_ENTRY: f"1 {DIGEST}"}
    assert mlflow.tags[2][LEDGER_ENTRY] == f"1 {DIGEST}"
    undone = replace(ENTRY, what="undone", from_version=3)
    confirm(real(mlflow), undone)
    assert mlflow.tags[3][LEDGER_ENTRY] == f"1 {undone.digest}"
    confirm(real(mlflow), replace(ENTRY, to_version=9))


def test_where_nothing_was_in_production_before_no_version_is_tagged(mlflow: Mlflow) -> None:
    before = {number: dict(tags) for number, tags in mlflow.tags.items()}
    confirm(real(mlflow), replace(ENTRY, what="undone", from_version=None, to_version=0, run_id=""))
    assert LEDGER_ENTRY in mlflow.held_model_tags
    assert mlflow.tags == before


def test_the_last_number_is_that_of_what_was_announced_or_confirmed() -> None:
    assert (Anchors().last_number, Anchors().last_confirmed) == (None, 0)
    assert Anchors(announced=(1, DIGEST)).last_number == 1
    assert Anchors(frozenset({(2, DIGEST), (4, DIGEST)}), (3, DIGEST)).last_number == 4


@pytest.mark.parametrize(
    "text", ["", "1", f"1 {DIGEST} ", f" 1 {DIGEST}", f"-1 {DIGEST}", f"{'1' * 13} {DIGEST}", f"1 {DIGEST[:-1]}", f"1 {DIGEST.upper()}"]
)
def test_a_tag_that_is_none_of_ours_says_nothing(mlflow: Mlflow, text: str) -> None:
    mlflow.held_model_tags = {LEDGER_ENTRY: text, LEDGER_ANNOUNCED: text}
    mlflow.tags[1][LEDGER_ENTRY] = text
    assert read_anchors(real(mlflow), NAME) == Anchors()
    mlflow.tags[1][LEDGER_ENTRY] = f"{'1' * 12} {DIGEST}"
    mlflow.held_model_tags = {LEDGER_ENTRY: f"2 {DIGEST}", LEDGER_ANNOUNCED: f"3 {DIGEST}"}
    assert read_anchors(real(mlflow), NAME) == Anchors(frozenset({(111_111_111_111, DIGEST), (2, DIGEST)}), (3, DIGEST))
