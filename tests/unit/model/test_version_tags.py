"""Most tags of a version are parts of one; what is no record counts for nothing, and tags of their own count first."""

from __future__ import annotations

import pytest

from passerelle.model.version_tags import packed, unpacked, without
from passerelle.names import ARTIFACT_DIGEST, CANDIDATE, LEDGER_ENTRY, SIGNED, VERSION_RECORD
from passerelle.registry.descriptions import literal

TAGS = {CANDIDATE: "word_lr", LEDGER_ENTRY: "1 sha256:1", "owner": "marie", ARTIFACT_DIGEST: "sha256:2", SIGNED: "true"}


def test_what_is_packed_is_unpacked() -> None:
    stored = packed(TAGS)
    assert list(stored) == [CANDIDATE, LEDGER_ENTRY, "owner", VERSION_RECORD], "the record comes last"
    assert unpacked(stored) == TAGS
    assert unpacked(stored | without(SIGNED, stored)) == {name: value for name, value in TAGS.items() if name != SIGNED}
    assert packed({SIGNED: "no"}, TAGS) == {SIGNED: "no"}, "a tag of its own stays one"


@pytest.mark.parametrize(
    "record", ["", "[]", "{", '{"artifact_digest": 1}', "[" * 100_000, '{"candidate": "other", "ledger_entry": "9 x"}']
)
def test_what_is_no_record_counts_for_nothing(record: str) -> None:
    assert unpacked({CANDIDATE: "word_lr", VERSION_RECORD: record}) == {CANDIDATE: "word_lr"}


def test_a_name_from_data_is_no_markup() -> None:
    assert literal("[x](http://evil) <b>`|\n") == "`[x](http://evil) <b>'¦`"
    assert len(literal("a" * 500)) < 130
