"""Alias and stage move together, in an order that leaves no moment without production, and go back when a step fails."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from passerelle.errors import BusyError, OutsideError, UsageError
from passerelle.model.numbered_params import numbered_param
from passerelle.names import ENTRY_PARAM, GOLDEN_ORIGIN, ModelVersionRef
from passerelle.registry.production import Standing, carry_out, plan, settled, standing
from passerelle.registry.verified import verified_ledger
from tests.unit.registry.ledger_forgeries import entry_of, found, put
from tests.unit.registry.memory import NAME, Bucket, Mlflow, real, ref


@pytest.fixture
def mlflow() -> Mlflow:
    """A registry with version 1 in production and version 2 there before."""
    mlflow = Mlflow(Bucket(), versions=4)
    put(mlflow, 2)
    put(mlflow, 1)
    return mlflow


def test_the_origin_of_golden_inputs_is_known_of_adopted_versions_alone(mlflow: Mlflow) -> None:
    mlflow.tags[2][GOLDEN_ORIGIN] = "input_example"
    assert standing(real(mlflow), NAME).golden_origins == {2: "input_example"}


def held() -> None:
    """Do not lose the lock."""


def move(mlflow: Mlflow, version: int, held: Callable[[], None] = held) -> None:
    registry = real(mlflow)
    now, ledger = standing(registry, NAME), verified_ledger(registry, NAME, None)
    entry = entry_of(version, from_version=now.production)
    carry_out(registry, ref(version), now, entry, ledger=ledger, signing=None, check_lock=held)


def writes(mlflow: Mlflow) -> list[str]:
    """Return the list that every write of this registry is added to from now on."""
    seen: list[str] = []
    mlflow.before_write = seen.append
    return seen


def test_where_alias_and_stage_stand(mlflow: Mlflow) -> None:
    assert standing(real(mlflow), NAME) == Standing(1, 2, {4: "None", 3: "None", 2: "Archived", 1: "Production"})
    assert standing(real(Mlflow(Bucket(), versions=1)), NAME) == Standing(None, None, {1: "None"})


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (Standing(1, None, {1: "Production", 2: "Archived"}), True),
        (Standing(2, None, {1: "Production", 2: "Archived"}), False),
        (Standing(None, None, {1: "Production"}), False),
        (Standing(1, None, {1: "None"}), False),
        (Standing(1, None, {1: "Production", 2: "Production"}), False),
    ],
)
def test_a_version_is_in_production_when_alias_and_stage_say_so_and_of_no_other(now: Standing, expected: bool) -> None:
    assert settled(now, 1) is expected


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (
            Standing(1, 2, {1: "Production", 3: "None"}),
            ["alias previous → version 1", "alias production → version 3", "stage Production ← version 3", "stage Archived ← version 1"],
        ),
        (Standing(None, None, {3: "None"}), ["alias production → version 3", "stage Production ← version 3"]),
        (Standing(3, 1, {3: "None"}), ["stage Production ← version 3"]),
        (Standing(1, None, {3: "Production"}), ["alias previous → version 1", "alias production → version 3"]),
        (Standing(3, 1, {4: "Production", 3: "Production", 2: "Production"}), ["stage Archived ← version 2", "stage Archived ← version 4"]),
        (Standing(3, 1, {3: "Production", 2: "Archived"}), []),
    ],
)
def test_the_steps_are_those_that_are_missing_in_this_order(mlflow: Mlflow, now: Standing, words: list[str]) -> None:
    steps = plan(real(mlflow), ref(3), now)
    assert [said for said, _ in steps] == words
    seen = writes(mlflow)
    for _, step in steps:
        step()
    assert seen == [" ".join(said.split()[:2]) for said in words], "each step does what its words say"


def test_a_move_writes_the_ledger_first(mlflow: Mlflow) -> None:
    seen = writes(mlflow)
    mlflow.objects.before_write = seen.append
    move(mlflow, 3)
    assert [each.replace("ledger/comments/", "") for each in seen] == [
        "model tag passerelle.ledger_announced",
        "head.json",
        "000003.jsonl",
        "artifact passerelle/ledger/000003.jsonl",
        "model tag passerelle.ledger_entry",
        "version tag",
        *(f"parameter {numbered_param(ENTRY_PARAM, NAME, 3)}" for _ in ("the run of version 1", "that of version 3")),
        "alias previous",
        "alias production",
        "stage Production",
        "stage Archived",
    ]
    assert standing(real(mlflow), NAME) == Standing(3, 1, {4: "None", 3: "Production", 2: "Archived", 1: "Archived"})
    assert [(entry.what, entry.from_version, entry.to_version) for entry in found(mlflow).entries][-1] == ("promote", 1, 3)


STEPS = (
    "artifact passerelle/ledger/000003.jsonl",
    "model tag passerelle.ledger_entry",
    "version tag",
    f"parameter {numbered_param(ENTRY_PARAM, NAME, 3)}",
    "alias previous",
    "alias production",
    "stage Production",
    "stage Archived",
)


@pytest.mark.parametrize("error", [OutsideError("MLflow does not answer"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_puts_all_back_and_the_ledger_says_so(mlflow: Mlflow, step: str, error: BaseException) -> None:
    before = standing(real(mlflow), NAME)

    def fails(what: str) -> None:
        if what == step:
            mlflow.before_write = lambda _: None
            raise error

    mlflow.before_write = fails
    with pytest.raises(type(error)):
        move(mlflow, 3)
    assert standing(real(mlflow), NAME) == before
    *_, promoted, undone = found(mlflow).entries
    assert (promoted.what, promoted.to_version) == ("promote", 3)
    assert (undone.what, undone.from_version, undone.to_version, undone.who) == ("undone", 3, 1, promoted.who)
    assert undone.reason == f"promote 3 failed: {type(error).__name__}"
    assert (undone.number, undone.before, undone.registered_model) == (4, promoted.digest, NAME)
    assert (undone.run_id, undone.artifact_digest) == (ref(1).run_id, "sha256:1")
    assert found(mlflow).findings == ()
    assert mlflow.held_model_tags["passerelle.ledger_entry"] == f"4 {undone.digest}"


def test_the_first_promotion_is_undone_to_nothing() -> None:
    mlflow = Mlflow(Bucket())

    def fails(what: str) -> None:
        if what == "stage Production":
            mlflow.before_write = lambda _: None
            raise UsageError("no")

    mlflow.before_write = fails
    with pytest.raises(UsageError):
        move(mlflow, 1)
    assert standing(real(mlflow), NAME) == Standing(None, None, dict.fromkeys((3, 2, 1), "None"))
    assert found(mlflow).entries[-1].to_version == 0


def test_what_cannot_be_put_back_is_noted_and_the_rest_is_put_back(mlflow: Mlflow) -> None:
    failed = False

    def fails(what: str) -> None:
        nonlocal failed
        if what == "stage Production" and not failed:
            failed = True
            raise OutsideError("the step failed")
        if failed and what == "alias previous":
            raise OutsideError("MLflow does not answer")

    mlflow.before_write = fails
    with pytest.raises(OutsideError, match="the step failed") as refused:
        move(mlflow, 3)
    assert refused.value.__notes__ == ["not put back: MLflow does not answer"]
    assert mlflow.held_aliases == {"production": 1, "previous": 1}
    assert found(mlflow).entries[-1].what == "undone"


def test_whoever_lost_the_lock_puts_nothing_back(mlflow: Mlflow) -> None:
    left = 3

    def lost() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise BusyError("somebody else has gone on")

    with pytest.raises(BusyError, match="somebody else has gone on"):
        move(mlflow, 3, lost)
    assert mlflow.held_aliases == {"production": 1, "previous": 1}, "previous was moved, and stays"
    assert found(mlflow).entries[-1].what == "promote"


def test_a_lock_that_cannot_be_asked_for_is_not_lost(mlflow: Mlflow) -> None:
    asked = 0

    def unknown() -> None:
        nonlocal asked
        asked += 1
        if asked in (4, 5):
            raise OutsideError("S3 does not answer")

    with pytest.raises(OutsideError, match="S3 does not answer"):
        move(mlflow, 3, unknown)
    assert mlflow.held_aliases == {"production": 1, "previous": 2}
    assert found(mlflow).entries[-1].what == "undone"


def test_the_second_of_two_writers_is_told_who_was_first(mlflow: Mlflow) -> None:
    registry = real(mlflow)
    now, ledger = standing(registry, NAME), verified_ledger(registry, NAME, None)
    put(mlflow, 4)
    first = found(mlflow).entries[-1]
    with pytest.raises(BusyError) as refused:
        carry_out(registry, ref(3), now, entry_of(3), ledger=ledger, signing=None, check_lock=held)
    said = f"promote of version 4 by marie@here at {first.when[:19]}"
    assert refused.value.message == f"the ledger has a new entry, {said}"
    assert refused.value.hint == "passerelle status"
    assert mlflow.held_aliases["production"] == 4


def test_nothing_is_noted_in_a_ledger_that_was_forged_meanwhile(mlflow: Mlflow) -> None:
    def forged(what: str) -> None:
        if what == "alias previous":
            mlflow.before_write = lambda _: None
            mlflow.objects.held["ledger/comments/000001.jsonl"] = b"{}"
            raise OutsideError("MLflow does not answer")

    mlflow.before_write = forged
    with pytest.raises(OutsideError) as refused:
        move(mlflow, 3)
    assert [note.partition(":")[0] for note in refused.value.__notes__] == ["not put back"]
    assert mlflow.held_aliases == {"production": 1, "previous": 2}


def test_the_plan_names_other_versions_without_their_run() -> None:
    seen: list[ModelVersionRef] = []
    mlflow = Mlflow(Bucket())
    mlflow.set_alias = lambda of, alias: seen.append(of)  # type: ignore[method-assign]  # noqa: ARG005 - called by position
    for _, step in plan(real(mlflow), ref(3), Standing(1, None, {3: "Production"})):
        step()
    assert seen == [ModelVersionRef(NAME, 1, ""), ref(3)]
