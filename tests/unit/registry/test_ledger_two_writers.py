"""Two writers of one ledger, the second between any two steps of the first, which goes on: no entry is lost, and neither is the head."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from passerelle.errors import BusyError
from passerelle.model.ledger_entry import Entry
from passerelle.registry.ledger import Ledger, parsed_head
from passerelle.stages.rollback import rollback
from tests.unit.registry.ledger_forgeries import found, put
from tests.unit.registry.memory import NAME, Bucket, Mlflow, real
from tests.unit.registry.test_ledger import gathered

Move = Callable[[Mlflow], object]


def promoted(mlflow: Mlflow) -> bool:
    """Return whether version 1 was ever in production."""
    return any(entry.to_version == 1 for entry in found(mlflow).entries)


FIRST: dict[str, Move] = {
    "the first promotion": lambda mlflow: put(mlflow, 2),
    "a promotion": lambda mlflow: put(mlflow, 2),
    "a rollback": lambda mlflow: rollback(real(mlflow), who="marie@here"),
}
MEANWHILE: dict[str, Move] = {
    "another": lambda mlflow: put(mlflow, 3),
    "two others": lambda mlflow: (put(mlflow, 3), put(mlflow, 4)),
    "the same": lambda mlflow: put(mlflow, 2),
    "one back": lambda mlflow: rollback(real(mlflow), who="paul@here", version=1) if promoted(mlflow) else put(mlflow, 1),
}
#: No move has more writes.
MOST_WRITES = 20


def beside(first: Move, second: Move, before: int, write: int) -> tuple[Mlflow, tuple[Entry, ...]] | None:
    """Carry out the second move before this write of the first one, whose lock looks stale; return what the ledger held after it.

    None where the first one has fewer writes.
    """
    mlflow = Mlflow(Bucket(), versions=4)
    for version in range(1, before + 1):
        put(mlflow, version)
    writes, entries = 0, None

    def step(_: str) -> None:
        nonlocal writes, entries
        writes += 1
        if writes != write:
            return
        mlflow.before_write = mlflow.objects.before_write = lambda _: None
        mlflow.objects.ages_s |= {key: 1e6 for key in mlflow.objects.held if key.endswith("lock.json")}
        second(mlflow)
        entries = found(mlflow).entries

    mlflow.before_write = mlflow.objects.before_write = step
    with suppress(BusyError):
        first(mlflow)
    return None if entries is None else (mlflow, entries)


@pytest.mark.parametrize("second", MEANWHILE)
@pytest.mark.parametrize("first", FIRST)
def test_what_one_writer_wrote_the_other_does_not_write_over(first: str, second: str) -> None:
    before = {"the first promotion": 0, "a promotion": 1, "a rollback": 2}[first]
    for write in range(1, MOST_WRITES):
        left = beside(FIRST[first], MEANWHILE[second], before, write)
        if left is None:
            assert write > 8
            return
        mlflow, entries = left
        after = found(mlflow)
        assert (after.findings, after.damaged_head) == ((), None), write
        assert after.entries[: len(entries)] == entries, f"lost at write {write}"
        head = parsed_head(Ledger(real(mlflow).objects, NAME).read_head()[0] or b"")
        assert head is not None
        assert (head.number, head.digest) == (len(after.entries), after.entries[-1].digest), write
        for command in gathered(mlflow):
            rollback(real(mlflow), who="paul@here", version=int(command.rpartition(" ")[2]))
        assert (gathered(mlflow), found(mlflow).findings) == ([], ()), write
    raise AssertionError("a move has more writes than were tried")
