"""What stands in the ledger's objects, to the byte, and what of a foreign line or an odd tag counts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from typing import Any, cast

import pytest

from passerelle.errors import IntegrityError
from passerelle.model.ledger_entry import MOST_ENTRY_BYTES, CandidateTerms, CountedLook, Entry, ErasedAnswers, digest_of, parsed_entry
from passerelle.registry.ledger import BEGINNING, MOST_HEAD_BYTES, Ledger, LedgerHead, Stored, entry_name, folder_of, parsed_head
from passerelle.registry.objects import Objects
from tests.unit.registry.memory import NAME, Bucket, Mlflow

ENTRY = Entry(1, BEGINNING, "2026-01-02T03:04:05.678+00:00", "é@here", "promote", NAME, None, 2, "run", "sha256:2")
LINE = (
    '{"artifact_digest":"sha256:2","before":"' + BEGINNING + '","criteria_digest":null,"forced":false,"from_version":null,"metrics":{},'
    '"number":1,"reason":null,"registered_model":"comments","run_id":"run","to_version":2,"what":"promote",'
    '"when":"2026-01-02T03:04:05.678+00:00","who":"é@here"}\n'
).encode()
DIGEST = "sha256:" + hashlib.sha256(LINE).hexdigest()


@pytest.fixture
def mlflow() -> Mlflow:
    return Mlflow(Bucket())


def ledger(of: Mlflow) -> Ledger:
    return Ledger(cast("Objects", of.objects), NAME)


def test_an_entry_is_one_line_of_canonical_json() -> None:
    assert ENTRY.line() == LINE
    assert (ENTRY.digest, digest_of(LINE)) == (DIGEST, DIGEST)
    assert parsed_entry(LINE) == ENTRY
    assert "sha256:" + hashlib.sha256(b"passerelle ledger").hexdigest() == BEGINNING
    more = replace(ENTRY, waived={"a": "b"}, trusted_pickle=True, report_digest="r", signature="s", forced=True)
    more = replace(
        more,
        candidate=CandidateTerms("shadow", 0, "X-Rollout-Key"),
        ended="withdrawn",
        erased=ErasedAnswers(1, "sha256:1", ("2026-11-23",)),
        judged=False,
        golden_origin="signature",
        held_out_digest="sha256:2",
        criteria_before="sha256:3",
        accepted=("criteria",),
        look=CountedLook("r", 1, 2, "sha256:4"),
    )
    assert json.loads(more.line()).keys() == asdict(more).keys()


@pytest.mark.parametrize(
    "changed",
    [{"number": "1"}, {"number": 1.0}, {"forced": 0}, {"to_version": None}, {"who": 3}, {"metrics": []}, {"when": None}],
)
def test_a_line_of_other_types_is_no_entry(changed: dict[str, Any]) -> None:
    assert parsed_entry(json.dumps(json.loads(LINE) | changed).encode()) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"null"])
def test_what_is_no_json_is_no_entry_and_no_head(content: bytes) -> None:
    assert parsed_entry(content) is None
    assert parsed_head(content) is None


def test_a_head_names_the_last_entry_and_holds_it() -> None:
    head = LedgerHead(1, DIGEST, LINE.decode())
    assert json.loads(head.content()) == {"number": 1, "digest": DIGEST, "entry": LINE.decode()}
    assert "é" in head.content().decode()
    assert parsed_head(head.content()) == head
    assert parsed_head(b'{"number": "1", "digest": ""}') is None


def test_objects_are_named_after_the_model_and_the_number() -> None:
    of = Ledger(cast("Objects", Bucket()), "team/é")
    assert folder_of("team/é") == "ledger/team%2F%C3%A9/"
    assert (entry_name(7), of.key(1_234_567)) == ("000007.jsonl", "ledger/team%2F%C3%A9/1234567.jsonl")
    assert (of.head_key, of.criteria_folder) == ("ledger/team%2F%C3%A9/head.json", "ledger/team%2F%C3%A9/criteria/")


def test_only_as_much_is_read_as_mlflow_knows_of(mlflow: Mlflow) -> None:
    held = mlflow.objects.held
    for number in range(1, 60):
        held[ledger(mlflow).key(number)] = b"x"
    held[f"ledger/{NAME}/000000.txt"] = held[f"ledger/{NAME}0/000001.jsonl"] = b"y"
    stored = ledger(mlflow).read(most=2)
    assert replace(stored, foreign=()) == Stored(tuple((ledger(mlflow).key(number), b"x") for number in (1, 2)), None, None)
    assert (len(stored.foreign), stored.foreign[0]) == (58, f"ledger/{NAME}/000000.txt")
    assert ledger(mlflow).read(most=None).lines == ()
    for named, most, read in ((9, 2, 3), (9, None, 9), (10**300, 2, 3), (1, 2, 2)):
        held[ledger(mlflow).head_key] = LedgerHead(named, DIGEST).content()
        assert len(ledger(mlflow).read(most=most).lines) == read
    del held[ledger(mlflow).head_key]
    asked: list[Any] = []
    keys = mlflow.objects.keys

    def counted(prefix: str, *, most: int | None = None) -> tuple[str, ...]:
        asked.append((prefix, most))
        return keys(prefix, most=most)

    mlflow.objects.keys = counted  # type: ignore[method-assign]
    ledger(mlflow).read(most=2)
    assert asked == [(f"ledger/{NAME}/", 66)]


def test_what_is_too_large_is_not_read(mlflow: Mlflow) -> None:
    held, of = mlflow.objects.held, ledger(mlflow)
    held[of.key(1)], held[of.key(2)], held[of.key(3)] = b"x" * MOST_ENTRY_BYTES, b"x" * (MOST_ENTRY_BYTES + 1), b"x"
    held[of.head_key] = b"x" * MOST_HEAD_BYTES
    assert (MOST_ENTRY_BYTES, MOST_HEAD_BYTES) == (65_536, 262_144)
    stored = of.read(most=3)
    assert [content if content is None else len(content) for _, content in stored.lines] == [MOST_ENTRY_BYTES, None, 1]
    assert of.read_head()[0] == b"x" * MOST_HEAD_BYTES
    held[of.head_key] += b"x"
    assert of.read_head() == (b"", mlflow.objects.entity_tag(of.head_key))


def test_the_head_is_written_only_where_nobody_else_wrote_it(mlflow: Mlflow) -> None:
    of = ledger(mlflow)
    assert of.write_head(ENTRY, head_tag=None)
    assert mlflow.objects.held[of.head_key] == LedgerHead(1, DIGEST, LINE.decode()).content()
    other = replace(ENTRY, who="paul@here")
    assert not of.write_head(other, head_tag=None)
    assert not of.write_head(other, head_tag="old")
    assert of.write_head(other, head_tag=of.read_head()[1])
    assert of.read_head()[0] == LedgerHead(1, other.digest, other.line().decode()).content()


def test_an_entrys_object_replaces_what_others_put_at_its_name(mlflow: Mlflow) -> None:
    of = ledger(mlflow)
    mlflow.objects.held[of.key(1)] = b"junk"
    of.write(ENTRY)
    of.write(ENTRY)
    assert mlflow.objects.held[of.key(1)] == LINE
    mlflow.objects.entity_tag = lambda _: "of what was written since"  # type: ignore[method-assign, assignment]
    with pytest.raises(IntegrityError, match=r"another object stands at ledger/comments/000001\.jsonl") as refused:
        of.write(replace(ENTRY, who="paul@here"))
    assert refused.value.hint == "passerelle history --verify"
    assert mlflow.objects.held[of.key(1)] == LINE
