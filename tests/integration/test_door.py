"""The door under strain: raced, watched, filled, interrupted while S3 or MLflow is gone, and with clocks that disagree."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from passerelle.errors import BusyError, OutsideError, PasserelleError
from passerelle.names import ModelVersionRef
from passerelle.registry import production as move
from passerelle.registry.client import Registry
from passerelle.registry.ledger import Ledger
from passerelle.registry.verified import history as history_of
from passerelle.stages.rollback import rollback
from passerelle.stages.status import gather
from tests.platform_fixtures import RegisteredForTests, moved

pytestmark = pytest.mark.integration


def two(registered: RegisteredForTests) -> tuple[Registry, ModelVersionRef, ModelVersionRef]:
    registry = registered.fresh()
    return registry, registered.register(registry, 0), registered.register(registry, 1)


def disagreements(registry: Registry) -> list[str]:
    found = gather(registry, bento_model=None, bento=None, service=None, service_address=None).disagreements
    return [each.command for each in found]


def test_of_two_at_once_one_wins_and_the_other_is_told_who_fifty_times(registered: RegisteredForTests) -> None:
    registry, first, second = two(registered)
    moved(registry, first)
    outcomes: Counter[str] = Counter()
    said: list[str] = []

    def run(ref: ModelVersionRef, barrier: threading.Barrier, who: str) -> None:
        own = Registry(registry.settings, registry.objects.settings)
        own.aliases(ref.registered_model)
        # Its client reads the environment, in which the rival's transfers set a variable of MLflow.
        list(own.objects.keys("none/"))
        barrier.wait()
        try:
            outcomes["won" if moved(own, ref, who).changed else "was there"] += 1
        except BusyError as error:
            outcomes["told"] += 1
            said.append(error.message)

    for number in range(50):
        # Both want the version that is not in production: exactly one of them moves it there.
        target = second if number % 2 == 0 else first
        barrier = threading.Barrier(2)
        rivals = [threading.Thread(target=run, args=(target, barrier, f"{name}@here")) for name in ("marie", "paul")]
        for each in rivals:
            each.start()
        for each in rivals:
            each.join()
    sys.stdout.write(f"| 50 races | {dict(outcomes)} |\n")
    assert outcomes["won"] == 50
    assert outcomes["told"] + outcomes["was there"] == 50
    assert all("marie@here" in each or "paul@here" in each for each in said)
    history = history_of(registry, registry.settings.registered_model)
    assert (len(history.entries), history.findings) == (51, ())
    assert disagreements(registry) == []


def test_no_observer_ever_sees_the_alias_point_to_nothing_and_the_ledger_stays_whole(registered: RegisteredForTests) -> None:
    registry, first, second = two(registered)
    name = registry.settings.registered_model
    moved(registry, first)
    seen: Counter[int | None] = Counter()
    ends = threading.Event()

    def look() -> None:
        own = Registry(registry.settings, registry.objects.settings)
        while not ends.is_set():
            seen[own.aliases(name).get("production")] += 1

    observer = threading.Thread(target=look)
    observer.start()
    for _ in range(10):
        moved(registry, second)
        rollback(registry, who="test@here")
    ends.set()
    observer.join()
    assert None not in seen
    assert set(seen) == {1, 2}
    history = history_of(registry, name)
    assert (len(history.entries), history.findings) == (21, ())


STEPS = ("alias previous", "alias production", "stage Production", "stage Archived")


@pytest.mark.parametrize("step", range(len(STEPS)), ids=STEPS)
def test_what_cannot_be_put_back_is_mended_by_the_command_that_status_names(
    registered: RegisteredForTests, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    registry, first, second = two(registered)
    moved(registry, first)
    real = move.plan

    def gone(*_: object, **__: object) -> None:
        raise OutsideError("MLflow went away")

    def breaks(held: Registry, ref: ModelVersionRef, now: move.Standing) -> list[tuple[str, Callable[[], None]]]:
        def away() -> None:
            # From here on nothing can be undone either.
            for method in ("set_alias", "set_stage", "delete_alias"):
                patch.setattr(registry, method, gone)
            gone()

        return [*real(held, ref, now)[: step + 1], ("break", away)]

    with monkeypatch.context() as patch:
        patch.setattr(move, "plan", breaks)
        with pytest.raises(OutsideError, match="went away"):
            moved(registry, second)
    commands = disagreements(registry)
    sys.stdout.write(f"| interrupted after {STEPS[step]}, MLflow gone | {commands or 'consistent'} |\n")
    assert len(commands) <= 1
    for command in commands:
        assert command.startswith("passerelle rollback --version ")
        rollback(registry, who="test@here", version=int(command.rpartition(" ")[2]))
    assert disagreements(registry) == []
    name = registry.settings.registered_model
    assert history_of(registry, name).findings == ()


def test_clocks_that_disagree_do_not_break_the_chain(registered: RegisteredForTests) -> None:
    registry, first, second = two(registered)
    moved(registry, first, when="2031-01-01T00:00:00+00:00")
    moved(registry, second, when="1999-12-31T23:59:59+00:00")
    history = history_of(registry, registry.settings.registered_model)
    assert history.findings == ()
    assert [entry.to_version for entry in history.entries] == [1, 2]


def test_each_of_five_forgeries_among_many_entries_is_found(registered: RegisteredForTests) -> None:
    registry, first, second = two(registered)
    moved(registry, first)
    for _ in range(5):
        moved(registry, second)
        rollback(registry, who="test@here")
    ledger = Ledger(registry.objects, registry.settings.registered_model)
    objects = registry.objects
    entries = history_of(registry, registry.settings.registered_model).entries

    def put(number: int, content: bytes) -> None:
        objects.delete(ledger.key(number))
        assert objects.create(ledger.key(number), content)

    forgeries = {
        "a reason added": lambda: put(4, replace(entries[3], reason="ordered").line()),
        "another person": lambda: put(7, replace(entries[6], who="marie@there").line()),
        "one removed": lambda: objects.delete(ledger.key(5)),
        "one inserted": lambda: put(6, replace(entries[5], before=entries[3].digest, to_version=1).line()),
        "the last removed": lambda: objects.delete(ledger.key(11)),
    }
    forge: Callable[[], object]
    for name, forge in forgeries.items():
        forge()
        found = history_of(registry, registry.settings.registered_model).findings
        sys.stdout.write(f"| forged: {name} | {found[0].problem if found else 'NOT FOUND'} |\n")
        assert found, name
        for number, entry in enumerate(entries, start=1):
            try:
                put(number, entry.line())
            except PasserelleError:
                assert objects.create(ledger.key(number), entry.line())
        assert history_of(registry, registry.settings.registered_model).findings == ()
