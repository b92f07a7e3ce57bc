"""What a service that follows the registry needs of the ledger, and may read: tags of MLflow, and the entry's line beside the model."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import cast

import pytest

from passerelle.criteria import Criteria
from passerelle.errors import BusyError, NotFoundError, OutsideError
from passerelle.model.ledger_entry import digest_of, parsed_entry
from passerelle.names import ARTIFACT_DIGEST, LEDGER_ENTRY, ledger_artifact
from passerelle.registry.ledger import BEGINNING, Ledger, LedgerHead
from passerelle.registry.objects import Objects
from passerelle.stages.promote import Promotion, PromotionRequest, promote
from passerelle.stages.rollback import rollback
from tests.unit.registry.ledger_forgeries import found, put
from tests.unit.registry.memory import NAME, Bucket, Mlflow, real, ref
from tests.unit.registry.test_ledger import gathered
from tests.unit.registry.test_ledger_interrupted import STEPS, KilledError, dies_before, lives_again

Again = Callable[[Mlflow], Promotion]


@pytest.fixture
def mlflow() -> Mlflow:
    """A registry with version 1 in production."""
    mlflow = Mlflow(Bucket())
    put(mlflow, 1)
    return mlflow


def vouched_for(mlflow: Mlflow) -> int | None:
    """Return the version that the alias names, where everything that a service without access to the ledger can check speaks for it."""
    version = mlflow.held_aliases["production"]
    tag = mlflow.tags[version].get(LEDGER_ENTRY, "")
    number, _, digest = tag.partition(" ")
    line = mlflow.artifacts.get((ref(version).run_id, ledger_artifact(int(number or 0))), "").encode()
    entry = parsed_entry(line)
    if entry is None or tag != mlflow.held_model_tags[LEDGER_ENTRY] or digest_of(line) != digest:
        return None
    named = (entry.registered_model, entry.to_version, entry.run_id, entry.artifact_digest, entry.number)
    return version if named == (NAME, version, ref(version).run_id, mlflow.tags[version][ARTIFACT_DIGEST], int(number)) else None


def promoted(mlflow: Mlflow, version: int = 1, *, dry_run: bool = False) -> Promotion:
    return promote(real(mlflow), ref=ref(version), criteria=Criteria(), request=PromotionRequest(who="marie@here"), dry_run=dry_run)


def rolled_back(mlflow: Mlflow) -> Promotion:
    return rollback(real(mlflow), who="marie@here", version=mlflow.held_aliases["production"])


def fails_once(mlflow: Mlflow, step: str, error: Exception) -> None:
    """Let the write of this name fail, once."""

    def fails(what: str) -> None:
        if what == step:
            mlflow.before_write = lambda _: None
            raise error

    mlflow.before_write = fails


def test_each_move_publishes_the_line_of_its_entry_to_the_byte(mlflow: Mlflow) -> None:
    assert vouched_for(mlflow) == 1
    put(mlflow, 2)
    assert vouched_for(mlflow) == 2
    rollback(real(mlflow), who="marie@here")
    assert vouched_for(mlflow) == 1
    ledger = Ledger(cast("Objects", mlflow.objects), NAME)
    published = {path: line.encode() for (_, path), line in mlflow.artifacts.items()}
    assert published == {ledger_artifact(number): mlflow.objects.held[ledger.key(number)] for number in (1, 2, 3)}
    assert [run_id for run_id, _ in mlflow.artifacts] == [ref(version).run_id for version in (1, 2, 1)]


@pytest.mark.parametrize(
    "step", [step for step in STEPS if step.startswith(("artifact", "alias", "stage", "version", "model tag passerelle.ledger_e"))]
)
def test_what_stays_after_a_move_was_undone_is_vouched_for_by_the_entry_that_undid_it(mlflow: Mlflow, step: str) -> None:
    fails_once(mlflow, step, OutsideError("MLflow went away"))
    with pytest.raises(OutsideError, match="went away"):
        put(mlflow, 2)
    assert vouched_for(mlflow) == 1
    last = found(mlflow).entries[-1]
    assert (last.what, last.number, last.run_id, last.artifact_digest) == ("undone", 3, ref(1).run_id, "sha256:1")
    assert mlflow.tags[2][LEDGER_ENTRY] == mlflow.tags[1][LEDGER_ENTRY] == f"3 {last.digest}"


def test_a_move_is_undone_in_the_ledger_before_the_alias_goes_back(mlflow: Mlflow) -> None:
    seen: list[str] = []

    def fails(what: str) -> None:
        if what == "stage Production":
            mlflow.before_write = seen.append
            raise OutsideError("MLflow went away")

    mlflow.before_write = fails
    with pytest.raises(OutsideError):
        put(mlflow, 2)
    assert seen.index("artifact passerelle/ledger/000003.jsonl") < seen.index("alias production")


def test_the_first_promotion_that_was_undone_publishes_nothing() -> None:
    mlflow = Mlflow(Bucket())
    fails_once(mlflow, "stage Production", OutsideError("MLflow went away"))
    with pytest.raises(OutsideError):
        put(mlflow, 1)
    assert [path for _, path in mlflow.artifacts] == [ledger_artifact(1)]
    assert found(mlflow).findings == ()


def test_an_alias_that_was_moved_by_hand_gets_no_entry_when_a_move_is_undone(mlflow: Mlflow) -> None:
    mlflow.set_alias(ref(3), "production")
    fails_once(mlflow, "stage Production", OutsideError("MLflow went away"))
    with pytest.raises(OutsideError):
        put(mlflow, 2)
    assert mlflow.held_aliases["production"] == 3
    last = found(mlflow).entries[-1]
    assert (last.what, last.to_version, last.run_id, last.artifact_digest) == ("undone", 1, ref(1).run_id, "sha256:1")
    assert vouched_for(mlflow) is None
    assert gathered(mlflow) == ["passerelle rollback --version 1"]


def test_who_lost_the_lock_while_it_was_noted_puts_nothing_back(mlflow: Mlflow) -> None:
    fails_once(mlflow, "stage Production", OutsideError("MLflow went away"))

    def taken(key: str) -> None:
        if mlflow.held_aliases["production"] == 2 and key.endswith("head.json"):
            mlflow.objects.held[f"ledger/{NAME}/lock.json"] = b'{"who": "paul@here"}'

    mlflow.objects.before_write = taken
    with pytest.raises(OutsideError):
        put(mlflow, 2)
    assert mlflow.held_aliases["production"] == 2


@pytest.mark.parametrize("step", STEPS)
def test_after_a_writer_was_killed_the_next_command_makes_it_whole(mlflow: Mlflow, step: str) -> None:
    dies_before(mlflow, step)
    with pytest.raises(KilledError):
        put(mlflow, 2)
    lives_again(mlflow)
    assert vouched_for(mlflow) in {None, 1, 2}
    put(mlflow, 2)
    assert vouched_for(mlflow) == 2


@pytest.mark.parametrize("step", STEPS)
def test_after_the_one_who_undid_a_move_was_killed_the_next_command_makes_it_whole(mlflow: Mlflow, step: str) -> None:
    """The alias never moved, so that the version stands before what undid the move is complete."""
    step = step.replace("000002", "000003")
    fails_once(mlflow, "artifact passerelle/ledger/000002.jsonl", OutsideError("MLflow went away"))
    before = mlflow.before_write

    def then_dies(what: str) -> None:
        try:
            before(what)
        finally:
            if what.startswith("artifact"):
                dies_before(mlflow, step)

    mlflow.before_write = then_dies
    with pytest.raises((KilledError, OutsideError)):
        put(mlflow, 2)
    lives_again(mlflow)
    assert mlflow.held_aliases["production"] == 1
    for command in gathered(mlflow):
        rollback(real(mlflow), who="marie@here", version=int(command.rpartition(" ")[2]))
    rolled_back(mlflow)
    assert vouched_for(mlflow) == mlflow.held_aliases["production"]
    assert found(mlflow).findings == ()


@pytest.mark.parametrize("again", [promoted, rolled_back])
@pytest.mark.parametrize("instead", [None, "another line\n"])
def test_the_same_command_completes_what_is_missing_and_says_so(mlflow: Mlflow, again: Again, instead: str | None) -> None:
    place = (ref(1).run_id, ledger_artifact(1))
    line = mlflow.artifacts.pop(place)
    if instead is not None:
        mlflow.artifacts[place] = instead
    done = again(mlflow)
    assert (done.changed, done.completed) == (False, (f"artifact {place[1]} of the run {place[0]}",))
    assert mlflow.artifacts[place] == line
    assert again(mlflow).completed == ()
    assert [entry.number for entry in found(mlflow).entries] == [1]


def test_a_tag_that_is_missing_is_completed_too(mlflow: Mlflow) -> None:
    del mlflow.tags[1][LEDGER_ENTRY]
    assert promoted(mlflow).completed == ("tag passerelle.ledger_entry: entry 1",)
    assert vouched_for(mlflow) == 1


def test_a_dry_run_says_what_is_missing_and_completes_nothing(mlflow: Mlflow) -> None:
    mlflow.artifacts.clear()
    for done in (promoted(mlflow, dry_run=True), rollback(real(mlflow), who="marie@here", version=1, dry_run=True)):
        assert (done.changed, len(done.completed)) == (False, 1)
    assert mlflow.artifacts == {}


def test_nothing_is_completed_beside_somebody_who_promotes(mlflow: Mlflow) -> None:
    mlflow.artifacts.clear()
    mlflow.objects.held[f"ledger/{NAME}/lock.json"] = b'{"who": "paul@here", "doing": "promote of version 2"}'
    with pytest.raises(BusyError, match="paul@here"):
        promoted(mlflow)
    assert mlflow.artifacts == {}


def test_nothing_is_completed_once_somebody_else_promoted(mlflow: Mlflow) -> None:
    mlflow.artifacts.clear()

    def overtaken(key: str) -> None:
        if key.endswith("lock.json"):
            mlflow.objects.before_write = lambda _: None
            put(mlflow, 2)

    mlflow.objects.before_write = overtaken
    assert promoted(mlflow).completed == ()
    assert [path for _, path in mlflow.artifacts] == [ledger_artifact(2)]


def test_a_run_that_was_deleted_stops_no_move(mlflow: Mlflow) -> None:
    def gone(run_id: str, path: str, content: str) -> None:
        raise NotFoundError("the run does not exist")

    mlflow.write_text = gone  # type: ignore[method-assign]
    assert put(mlflow, 2).changed
    done = promoted(mlflow, 2)
    assert (done.changed, done.completed) == (False, ())


def old_line(number: int, before: str, **fields: object) -> str:
    """Return a line as it was written before lines were published: an entry that undid another named no run and no files."""
    entry: dict[str, object] = {
        "artifact_digest": "", "before": before, "criteria_digest": None, "forced": False, "from_version": None, "metrics": {},
        "number": number, "reason": None, "registered_model": NAME, "run_id": "", "to_version": 1, "what": "promote",
        "when": "2026-01-02T03:04:05.678+00:00", "who": "marie@here",
    }  # fmt: skip
    return json.dumps(entry | fields, separators=(",", ":")) + "\n"


def old_ledger(entries: int) -> Mlflow:
    """Return a registry with version 1 in production, by a ledger of a promotion and, perhaps, one that was undone."""
    mlflow = Mlflow(Bucket())
    first = old_line(1, BEGINNING, artifact_digest="sha256:1", run_id=ref(1).run_id)
    second = old_line(2, digest_of(first.encode()), artifact_digest="sha256:2", run_id=ref(2).run_id, from_version=1, to_version=2)
    undone = old_line(3, digest_of(second.encode()), from_version=2, what="undone", reason="promote 2 failed: OutsideError")
    for number, line in enumerate((first, second, undone)[:entries], start=1):
        digest = digest_of(line.encode())
        mlflow.objects.held[f"ledger/{NAME}/{number:06d}.jsonl"] = line.encode()
        mlflow.objects.held[f"ledger/{NAME}/head.json"] = LedgerHead(number, digest, line).content()
        mlflow.held_model_tags[LEDGER_ENTRY] = mlflow.tags[2 if number > 1 else 1][LEDGER_ENTRY] = f"{number} {digest}"
    mlflow.held_aliases["production"], mlflow.stages[1] = 1, "Production"
    return mlflow


@pytest.mark.parametrize(
    ("entries", "digest"),
    [
        (1, "e1a52a32051f3728827d0eb309e35893f5a915bbd9e4a752037dfc06f87264ab"),
        (3, "182db3be5451e9a58455a88151469d194eeb78f89099da4c6a779e12eb34adb1"),
    ],
)
def test_a_ledger_of_former_times_stays_valid_to_the_byte(entries: int, digest: str) -> None:
    mlflow = old_ledger(entries)
    assert mlflow.held_model_tags[LEDGER_ENTRY] == f"{entries} sha256:{digest}"
    assert found(mlflow).findings == ()
    lines = [content for key, content in sorted(mlflow.objects.held.items()) if key.endswith(".jsonl")]
    assert [entry.line() for entry in found(mlflow).entries] == lines
    assert vouched_for(mlflow) is None


@pytest.mark.parametrize("again", [promoted, rolled_back])
def test_a_version_that_was_promoted_in_former_times_is_published_by_the_same_command(again: Again) -> None:
    mlflow = old_ledger(1)
    done = again(mlflow)
    assert (done.changed, done.completed) == (False, (f"artifact {ledger_artifact(1)} of the run {ref(1).run_id}",))
    assert vouched_for(mlflow) == 1
    assert len(found(mlflow).entries) == 1


def test_a_rollback_to_what_stands_gives_a_ledger_that_ends_with_an_old_undoing_an_entry_that_can_be_verified() -> None:
    mlflow = old_ledger(3)
    done = rolled_back(mlflow)
    assert (done.changed, done.steps, done.completed) == (True, ("ledger: entry 4",), ())
    assert vouched_for(mlflow) == 1
    assert (found(mlflow).findings, gathered(mlflow)) == ((), [])


def test_what_is_undone_after_an_old_undoing_names_the_run_all_the_same() -> None:
    mlflow = old_ledger(3)
    fails_once(mlflow, "alias production", OutsideError("MLflow went away"))
    with pytest.raises(OutsideError):
        put(mlflow, 2)
    assert vouched_for(mlflow) == 1
    assert [entry.what for entry in found(mlflow).entries] == ["promote", "promote", "undone", "promote", "undone"]
