"""A ledger that was forged in S3, in any way, stops every decision, and no command writes over it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from passerelle.errors import IntegrityError, NotFoundError, RefusedError, UsageError
from passerelle.model.ledger_entry import MOST_ENTRY_BYTES, parsed_entry
from passerelle.names import LEDGER_ENTRY, ledger_artifact
from passerelle.registry.ledger import Ledger, parsed_head
from passerelle.registry.verified import verified_ledger
from passerelle.settings import StoreSettings
from passerelle.stages.import_model import import_model
from passerelle.stages.promote import put_in_production
from passerelle.stages.rollback import rollback
from passerelle.stages.service_readiness import ServiceReadiness
from passerelle.stages.status import gather
from passerelle.stages.trace import links_of
from tests.unit.registry.ledger_forgeries import (
    DAMAGED_HEADS,
    FOREIGN,
    FORGERIES,
    Forge,
    Forger,
    append_in_the_head_alone,
    append_with_head,
    entry_of,
    found,
    put,
)
from tests.unit.registry.memory import NAME, Bucket, Mlflow, real, ref


def gathered(mlflow: Mlflow) -> list[str]:
    status = gather(real(mlflow), bento_model=None, bento=None, service=None, service_address=None)
    return [each.command for each in status.disagreements]


@pytest.fixture
def mlflow() -> Mlflow:
    return Mlflow(Bucket())


def decisions(mlflow: Mlflow, tmp_path: Path) -> dict[str, Callable[[], object]]:
    registry, store = real(mlflow), StoreSettings.read(bentoml_home=tmp_path / "bentoml")
    return {
        "promote": lambda: put(mlflow, 3),
        "promote --dry-run": lambda: put_in_production(registry, ref(3), entry_of(3), dry_run=True),
        "rollback": lambda: rollback(registry, who="paul@here"),
        "rollback --version 3": lambda: rollback(registry, who="paul@here", version=3),
        "rollback --version 1": lambda: rollback(registry, who="paul@here", version=1),
        "import": lambda: import_model(registry, store),
        "import --dry-run": lambda: import_model(registry, store, dry_run=True),
    }


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_a_forgery_stops_every_decision_names_the_entry_and_is_not_written_over(mlflow: Mlflow, forge: Forge, tmp_path: Path) -> None:
    for version in (1, 2):
        put(mlflow, version)
    rollback(real(mlflow), who="marie@here")
    assert found(mlflow).findings == ()
    forge(Forger(mlflow))
    left = dict(mlflow.objects.held)
    mlflow.objects.reads = 0
    first = found(mlflow).findings[0]
    assert first.number == FORGERIES[forge]
    assert mlflow.objects.reads < 12, "whoever fills the folder does not decide how much is read"
    moved = dict(mlflow.held_aliases), dict(mlflow.stages)
    for name, decide in decisions(mlflow, tmp_path).items():
        with pytest.raises(IntegrityError, match=f"is broken at entry {first.number}: ") as refused:
            decide()
        assert refused.value.hint == "passerelle history --verify", name
    assert gathered(mlflow) == ["passerelle history --verify"]
    *_, link = links_of(cast("Any", Traced(mlflow)), real(mlflow).model_version(NAME, 1))
    assert (link.value, "broken at entry" in link.note) == (None, True)
    assert mlflow.objects.held == left
    assert (mlflow.held_aliases, mlflow.stages) == moved
    assert found(mlflow).findings[0] == first


class Traced:
    """The registry as `trace` asks it, without a run."""

    def __init__(self, mlflow: Mlflow) -> None:
        self._mlflow = mlflow

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mlflow, name)

    def run(self, run_id: str) -> Any:
        raise NotFoundError(run_id)


@pytest.mark.parametrize("forge", FOREIGN, ids=lambda forge: forge.__name__)
def test_a_foreign_object_blocks_nothing_and_is_told(mlflow: Mlflow, forge: Forge) -> None:
    for version in (1, 2):
        put(mlflow, version)
    rollback(real(mlflow), who="marie@here")
    forge(Forger(mlflow))
    mlflow.objects.reads = 0
    told = found(mlflow)
    assert (told.findings, len(told.entries), bool(told.foreign)) == ((), 3, True)
    assert (mlflow.objects.reads < 12, len(told.foreign) < 100) == (True, True)
    assert put(mlflow, 3).changed
    rollback(real(mlflow), who="marie@here")
    assert gathered(mlflow) == []
    assert [entry.number for entry in found(mlflow).entries] == [1, 2, 3, 4, 5]
    assert found(mlflow).findings == ()


@pytest.mark.parametrize("damage", DAMAGED_HEADS, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("then", ["promote", "rollback", "again"])
def test_a_damaged_head_is_told_and_written_anew(mlflow: Mlflow, damage: Forge, then: str) -> None:
    for version in (1, 2):
        put(mlflow, version)
    rollback(real(mlflow), who="marie@here")
    before = found(mlflow).entries
    damage(Forger(mlflow))
    told = found(mlflow)
    assert (told.findings, told.entries) == ((), before)
    assert told.damaged_head is not None
    assert told.damaged_head.endswith("entry 3 is the last one, which the next write says again")
    assert gathered(mlflow) == ["passerelle promote --version 1"]
    done = rollback(real(mlflow), who="marie@here", version=2) if then == "rollback" else put(mlflow, 1 if then == "again" else 3)
    assert told.damaged_head in (*done.notes, *done.completed)
    assert done.changed == (then != "again")
    assert (found(mlflow).damaged_head, found(mlflow).findings, gathered(mlflow)) == (None, (), [])
    assert found(mlflow).entries[:3] == before


@pytest.mark.parametrize("damage", DAMAGED_HEADS, ids=lambda damage: damage.__name__)
def test_a_damaged_head_makes_the_ledger_no_shorter(mlflow: Mlflow, damage: Forge) -> None:
    for version in (1, 2, 3):
        put(mlflow, version)
    forger = Forger(mlflow)
    damage(forger)
    del mlflow.objects.held[forger.ledger.key(3)]
    assert found(mlflow).findings
    with pytest.raises(IntegrityError, match="is broken at entry"):
        put(mlflow, 1)


@pytest.mark.parametrize("killed_at", ["comments/000002.jsonl", f"artifact {ledger_artifact(2)}", "model tag passerelle.ledger_entry"])
def test_a_head_that_is_damaged_after_a_kill_loses_no_entry_that_has_an_object(mlflow: Mlflow, killed_at: str) -> None:
    put(mlflow, 1)

    def dies(what: str) -> None:
        if what.endswith(killed_at):
            raise KeyboardInterrupt

    mlflow.before_write = mlflow.objects.before_write = dies
    with pytest.raises(KeyboardInterrupt):
        put(mlflow, 2)
    mlflow.before_write = mlflow.objects.before_write = lambda _: None
    forger = Forger(mlflow)
    mlflow.objects.held[forger.ledger.head_key] = b"junk"
    assert len(found(mlflow).entries) == (1 if killed_at.startswith("comments") else 2), "an entry in the head alone had moved nothing yet"
    assert put(mlflow, 3).changed
    assert (found(mlflow).findings, gathered(mlflow)) == ((), [])


def test_a_foreign_object_at_the_name_of_an_entry_whose_writer_was_killed_blocks_nothing(mlflow: Mlflow) -> None:
    put(mlflow, 1)
    mlflow.objects.held[Ledger(cast("Any", mlflow.objects), NAME).key(2)] = b"junk"

    def dies(what: str) -> None:
        if what.endswith("000002.jsonl"):
            raise KeyboardInterrupt

    mlflow.objects.before_write = dies
    with pytest.raises(KeyboardInterrupt):
        put(mlflow, 2)
    mlflow.objects.before_write = lambda _: None
    assert (found(mlflow).findings, len(found(mlflow).entries)) == ((), 2)
    assert put(mlflow, 2).changed
    assert (found(mlflow).findings, gathered(mlflow)) == ((), [])


@pytest.mark.parametrize("forge", [append_with_head, append_in_the_head_alone], ids=lambda forge: forge.__name__)
def test_a_first_entry_that_was_forged_is_found_where_mlflow_knows_of_none(mlflow: Mlflow, forge: Forge) -> None:
    forge(Forger(mlflow))
    left = dict(mlflow.objects.held)
    assert found(mlflow).findings[0].number == 1
    assert gathered(mlflow) == ["passerelle promote --version 3 --accept ledger --reason REASON"]
    with pytest.raises(IntegrityError, match="is broken at entry 1: "):
        rollback(real(mlflow), who="paul@here", version=3)
    with pytest.raises(IntegrityError, match="is broken at entry 1: "):
        put(mlflow, 1)
    assert mlflow.objects.held == left
    assert mlflow.held_aliases == {}


def test_status_shows_all_else_and_marks_the_break(mlflow: Mlflow) -> None:
    put(mlflow, 1)
    append_with_head(Forger(mlflow))
    status = gather(real(mlflow), bento_model=None, bento=None, service=ServiceReadiness(2), service_address="http://there")
    assert (status.holdings.alias, status.holdings.stage, status.holdings.service, status.holdings.ledger) == (1, (1,), 2, None)
    assert [finding.number for finding in status.ledger_findings] == [2]
    assert "is broken at entry 2" in status.disagreements[0].what


def test_a_version_of_the_last_entry_that_was_deleted_breaks_nothing(mlflow: Mlflow) -> None:
    put(mlflow, 1)
    put(mlflow, 2)
    mlflow.delete_version(2)
    assert found(mlflow).findings == ()
    assert put(mlflow, 3).entry is not None


def test_a_ledger_whose_tags_are_of_the_versions_alone_goes_on(mlflow: Mlflow) -> None:
    put(mlflow, 1)
    put(mlflow, 2)
    mlflow.held_model_tags.clear()
    assert found(mlflow).findings == ()
    put(mlflow, 3)
    assert mlflow.held_model_tags[LEDGER_ENTRY].startswith("3 ")


def test_after_a_promotion_was_undone_the_files_are_still_compared(mlflow: Mlflow, tmp_path: Path) -> None:
    put(mlflow, 1)

    def fails(what: str) -> None:
        if what == "stage Production":
            mlflow.before_write = lambda _: None
            raise UsageError("no")

    mlflow.before_write = fails
    with pytest.raises(UsageError):
        put(mlflow, 2)
    assert [entry.what for entry in found(mlflow).entries] == ["promote", "promote", "undone"]
    mlflow.tags[1]["passerelle.artifact_digest"] = "sha256:other"
    with pytest.raises(IntegrityError, match="does not have the digest"):
        import_model(real(mlflow), StoreSettings.read(bentoml_home=tmp_path / "bentoml"))
    with pytest.raises(RefusedError, match="was never in production"):
        rollback(real(mlflow), who="paul@here", version=2)


def test_entries_are_locked_for_years_and_nothing_else_is(mlflow: Mlflow) -> None:
    put(mlflow, 1)
    put(mlflow, 2)
    held = mlflow.objects.until
    entries = {key for key in mlflow.objects.held if key.endswith(".jsonl")}
    assert set(held) == entries != set()
    assert all(each - datetime.now(UTC) > timedelta(days=3_600) for each in held.values())


def test_a_decision_reads_each_entry_once(mlflow: Mlflow) -> None:
    for number in range(50):
        put(mlflow, number % 2 + 1)
    mlflow.objects.reads = 0
    rollback(real(mlflow), who="marie@here")
    lock, heads = 10, 3
    assert mlflow.objects.reads <= 50 + lock + heads
    assert len(found(mlflow).entries) == 51


def test_a_line_reads_back_as_it_was_written() -> None:
    metrics = {"a": 1, "b": 1.0, "c": 0.1 + 0.2, "d": 5e-324, "e": 1.7976931348623157e308, "f": float("inf"), "size": 10**15}
    entry = entry_of(1, metrics=metrics, who="él\u2028@here", reason="«\u0000»", waived={"size_bytes": "marie: ok"})
    read = parsed_entry(entry.line())
    assert read is not None
    assert read.line() == entry.line()
    assert "signature" not in json.loads(entry.line())
    assert parsed_head(b'{"number": 1, "digest": "sha256:"}') is not None, "heads of former versions hold no entry"


def test_an_entry_that_nobody_would_read_is_not_written(mlflow: Mlflow) -> None:
    with pytest.raises(UsageError, match="the ledger holds at most"):
        put_in_production(real(mlflow), ref(1), entry_of(1, reason="x" * MOST_ENTRY_BYTES))
    assert found(mlflow).entries == ()
    assert verified_ledger(real(mlflow), NAME).last is None
