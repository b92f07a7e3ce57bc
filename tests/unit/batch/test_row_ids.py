"""Ids of the answers to rows: UUIDs of version 8, each another one."""

from __future__ import annotations

import hashlib
import uuid

from passerelle.batch.row_ids import row_ids
from passerelle.model.prediction_id import is_prediction_id

DIGEST = hashlib.sha256(b"a table").digest()


def test_each_row_has_an_id_of_its_own_that_no_log_knows() -> None:
    rows = [*range(1, 5_000), 2**40, 2**57]
    found = row_ids("0123abcd", DIGEST, rows).to_pylist()
    assert len(set(found)) == len(rows)
    for each in found:
        parsed = uuid.UUID(each)
        assert (str(parsed), parsed.version, parsed.variant) == (each, 8, uuid.RFC_4122)
        assert each.endswith("0123abcd")
        assert not is_prediction_id(each)


def test_an_id_is_the_same_whichever_rows_are_scored_with_it() -> None:
    assert row_ids("0" * 8, DIGEST, [7]).to_pylist() == row_ids("0" * 8, DIGEST, [5, 6, 7]).to_pylist()[2:]
    assert row_ids("0" * 8, DIGEST, []).to_pylist() == []
    others = {row_ids("0" * 8, bytes(place) + b"\x01" + DIGEST[place + 1 :], [7]).to_pylist()[0] for place in range(12)}
    assert len(others) == 12, "each byte of the digest counts"
