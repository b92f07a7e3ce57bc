"""A ledger in memory, what somebody with write access to S3 alone may do to it, and the entry at which that is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from passerelle.model.ledger_entry import MOST_ENTRY_BYTES, Entry
from passerelle.registry.ledger import BEGINNING, Ledger, LedgerHead, now
from passerelle.registry.objects import Objects
from passerelle.registry.verified import History, history
from passerelle.settings import SigningSettings
from passerelle.stages.promote import Promotion, put_in_production
from tests.unit.registry.memory import NAME, Mlflow, real, ref

Forge = Callable[["Forger"], None]


def entry_of(version: int, **fields: Any) -> Entry:
    fixed = Entry(0, "", now(), "marie@here", "promote", NAME, None, version, ref(version).run_id, f"sha256:{version}")
    return replace(fixed, **fields)


def put(mlflow: Mlflow, version: int, signing: SigningSettings | None = None) -> Promotion:
    return put_in_production(real(mlflow), ref(version), entry_of(version), signing=signing)


def found(mlflow: Mlflow) -> History:
    return history(real(mlflow), NAME)


class Forger:
    """Somebody who may write to S3, and not to MLflow."""

    def __init__(self, mlflow: Mlflow) -> None:
        self.held = mlflow.objects.held
        self.ledger = Ledger(cast("Objects", mlflow.objects), NAME)
        self.entries = found(mlflow).entries

    def write(self, number: int, entry: Entry) -> None:
        self.held[self.ledger.key(number)] = entry.line()

    def head(self, entry: Entry) -> None:
        self.held[self.ledger.head_key] = LedgerHead(entry.number, entry.digest, entry.line().decode()).content()

    def chained(self, entry: Entry) -> Entry:
        last = self.entries[-1] if self.entries else None
        return replace(entry, number=len(self.entries) + 1, before=last.digest if last else BEGINNING)


def append_with_head(forger: Forger) -> None:
    entry = forger.chained(entry_of(3))
    forger.write(entry.number, entry)
    forger.head(entry)


def append_in_the_head_alone(forger: Forger) -> None:
    forger.head(forger.chained(entry_of(3)))


def append_without_head(forger: Forger) -> None:
    entry = forger.chained(entry_of(3))
    forger.write(entry.number, entry)


def change_the_middle(forger: Forger) -> None:
    forger.write(2, replace(forger.entries[1], who="nobody"))


def change_the_last_with_head(forger: Forger) -> None:
    entry = replace(forger.entries[2], to_version=3, artifact_digest="sha256:3", run_id=ref(3).run_id)
    forger.write(3, entry)
    forger.head(entry)


def write_the_end_anew(forger: Forger) -> None:
    second = replace(forger.entries[1], to_version=3)
    third = replace(forger.entries[2], before=second.digest)
    forger.write(2, second)
    forger.write(3, third)
    forger.head(third)


def remove_the_first(forger: Forger) -> None:
    del forger.held[forger.ledger.key(1)]


def remove_the_middle(forger: Forger) -> None:
    del forger.held[forger.ledger.key(2)]


def remove_the_last(forger: Forger) -> None:
    del forger.held[forger.ledger.key(3)]


def remove_the_last_with_head(forger: Forger) -> None:
    del forger.held[forger.ledger.key(3)]
    forger.head(forger.entries[1])


def remove_the_head(forger: Forger) -> None:
    del forger.held[forger.ledger.head_key]


def remove_all(forger: Forger) -> None:
    forger.held.clear()


def swap(forger: Forger) -> None:
    forger.write(2, forger.entries[2])
    forger.write(3, forger.entries[1])


def another_models_ledger(forger: Forger) -> None:
    before, entry = BEGINNING, forger.entries[0]
    for number, entry in enumerate((replace(each, registered_model="other") for each in forger.entries), start=1):
        entry = replace(entry, before=before)  # noqa: PLW2901
        before = entry.digest
        forger.write(number, entry)
    forger.head(entry)


def spaces_in_a_line(forger: Forger) -> None:
    key = forger.ledger.key(2)
    forger.held[key] = forger.held[key].replace(b":", b": ", 1)


def a_huge_entry(forger: Forger) -> None:
    forger.held[forger.ledger.key(2)] = b"x" * (MOST_ENTRY_BYTES + 1)


def a_huge_head(forger: Forger) -> None:
    forger.held[forger.ledger.head_key] = b"x" * 300_000


def nested_beyond_measure(forger: Forger) -> None:
    forger.held[forger.ledger.key(3)] = b"[" * 60_000


def a_number_that_is_text(forger: Forger) -> None:
    key = forger.ledger.key(3)
    forger.held[key] = forger.held[key].replace(b'"number":3', b'"number":"3"')


def half_a_surrogate_pair(forger: Forger) -> None:
    key = forger.ledger.key(3)
    forger.held[key] = forger.held[key].replace(b"marie", b"\\ud800")


def a_head_that_counts_to_the_moon(forger: Forger) -> None:
    forger.held[forger.ledger.head_key] = json.dumps({"number": 10**300, "digest": "", "entry": ""}).encode()


def an_entry_of_another_number_in_the_head(forger: Forger) -> None:
    forger.head(replace(forger.chained(entry_of(3)), number=7))


def an_earlier_head(forger: Forger) -> None:
    forger.head(forger.entries[1])


def a_head_of_random_bytes(forger: Forger) -> None:
    forger.held[forger.ledger.head_key] = bytes(range(256))


def an_empty_head(forger: Forger) -> None:
    forger.held[forger.ledger.head_key] = b""


def a_nested_head(forger: Forger) -> None:
    forger.held[forger.ledger.head_key] = b"[" * 200_000


def a_head_with_another_digest(forger: Forger) -> None:
    key = forger.ledger.head_key
    forger.held[key] = forger.held[key].replace(b'"digest": "sha256:', b'"digest": "sha256:0', 1)


def ten_thousand_entries(forger: Forger) -> None:
    forger.held |= {forger.ledger.key(number): b"{}" for number in range(4, 10_000)}


def another_name_between(forger: Forger) -> None:
    forger.held[forger.ledger.key(1).replace("000001", "000001a")] = b"{}"


FORGERIES: dict[Forge, int] = {
    append_with_head: 4, append_in_the_head_alone: 4, change_the_middle: 2, change_the_last_with_head: 3,
    write_the_end_anew: 2, remove_the_first: 1, remove_the_middle: 2, remove_the_last: 3, remove_the_last_with_head: 3,
    remove_all: 2, swap: 2, another_models_ledger: 1, spaces_in_a_line: 2, a_huge_entry: 2,
    nested_beyond_measure: 3, a_number_that_is_text: 3, half_a_surrogate_pair: 3, an_entry_of_another_number_in_the_head: 4,
}  # fmt: skip


def junk_of_many_names(forger: Forger) -> None:
    folder = forger.ledger.key(1).removesuffix("000001.jsonl")
    names = ("!first", "0", "000000.jsonl", "000001.jsonl.bak", "000002 (copy).jsonl", "readme.txt", "zz.json", "000002.jsonl/", "a b/c")
    forger.held |= {f"{folder}{name}": b"junk" for name in names} | {f"{folder}!{number}": b"" for number in range(200)}


def junk_at_the_next_name(forger: Forger) -> None:
    forger.held[forger.ledger.key(len(forger.entries) + 1)] = b'{"number": 4}\n'


def a_huge_object_at_the_next_name(forger: Forger) -> None:
    forger.held[forger.ledger.key(len(forger.entries) + 1)] = b"x" * (MOST_ENTRY_BYTES + 1)


def nested_json_at_the_next_name(forger: Forger) -> None:
    forger.held[forger.ledger.key(len(forger.entries) + 1)] = b"[" * 60_000


#: What somebody puts into the ledger's folder and that is none of it.
FOREIGN: tuple[Forge, ...] = (
    append_without_head, ten_thousand_entries, another_name_between, junk_of_many_names, junk_at_the_next_name,
    a_huge_object_at_the_next_name, nested_json_at_the_next_name,
)  # fmt: skip

#: What becomes of the head alone: entries and MLflow still agree on which entry is the last.
DAMAGED_HEADS: tuple[Forge, ...] = (
    remove_the_head, a_huge_head, a_head_that_counts_to_the_moon, an_earlier_head, a_head_of_random_bytes, an_empty_head, a_nested_head,
    a_head_with_another_digest,
)  # fmt: skip
