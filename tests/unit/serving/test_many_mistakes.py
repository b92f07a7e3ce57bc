"""A body that is full of mistakes is refused about as fast as a good one of its size is read: everybody else waits meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from passerelle.model.record import Column
from passerelle.serving.contract import Contract, RequestError, contract_of

CONTRACT = contract_of((Column("text", "string"),), max_text_characters=20_000, max_records=1_000, example=None)
UNKNOWN = {f"k{i}": 1 for i in range(75_000)}
FEW = dict.fromkeys(list(UNKNOWN)[:75])
LARGE = json.dumps({"records": [{"text": "aucune réponse " * 55}] * 1_000}, ensure_ascii=False).encode()


def seconds(ask: Callable[[], Any]) -> float:
    def once() -> float:
        began = time.perf_counter()
        ask()
        return time.perf_counter() - began

    return min(once() for _ in range(5))


def refusal(read: Callable[[bytes], Any], body: bytes) -> RequestError:
    with pytest.raises(RequestError) as refused:
        read(body)
    return refused.value


BODIES: dict[str, tuple[Callable[[Contract], Callable[[bytes], Any]], Any, str | None]] = {
    "one": (lambda contract: contract.read_one, {"text": "a"} | UNKNOWN, "k0"),
    "batch": (lambda contract: contract.read_several, {"records": [{"text": "a"}, {"text": "b"} | UNKNOWN]}, "records.1.k0"),
    "beside the batch": (lambda contract: contract.read_several, {"records": [{"text": "a"}]} | UNKNOWN, "k0"),
    "in each record": (lambda contract: contract.read_several, {"records": [{"text": "a"} | FEW] * 1_000}, "records.0.k0"),
}


@pytest.mark.timing
@pytest.mark.parametrize("name", BODIES)
def test_many_mistakes_are_refused_quickly(name: str) -> None:
    reader, content, field = BODIES[name]
    body = json.dumps(content).encode()
    said = refusal(reader(CONTRACT), body)
    assert (said.status, said.code, said.field) == (422, "invalid_record", field)
    assert seconds(lambda: refusal(reader(CONTRACT), body)) < 12 * seconds(lambda: CONTRACT.read_several(LARGE)[0]) + 0.02


def test_a_small_body_with_many_mistakes_is_not_listed() -> None:
    said = refusal(CONTRACT.read_several, json.dumps({"records": [{"text": 1}] * 200}).encode())
    assert (said.status, said.code, said.message) == (422, "invalid_record", "has more than 100 mistakes")
