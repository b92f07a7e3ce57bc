"""The looks at test sets are counted, each once, and none is lost without a word."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from passerelle.errors import OutsideError
from passerelle.names import LOOKS
from passerelle.registry.looks import Look, LookTaken, RowSet, take_look
from tests.unit.registry.memory import NAME, Bucket, Mlflow, real, ref

FOLDER = f"ledger/{NAME}/looks/{ref(1).run_id}/"


def rows(first: int, end: int) -> RowSet:
    """Return a set of numbered rows."""
    hashes = sorted(hashlib.sha256(b"%d" % number).hexdigest()[:12] for number in range(first, end))
    return RowSet(f"sha256:{first}-{end}", end - first, tuple(hashes[:128]))


ALL = rows(0, 500)


def look(run: str = "a", criteria: str = "sha256:c", of: RowSet = ALL) -> Look:
    return Look(0, "", "2026-01-01", "marie@here", run, criteria, of)


@pytest.fixture
def mlflow() -> Mlflow:
    return Mlflow(Bucket())


def taken(mlflow: Mlflow, of: Look, *, champion: int | None = 1, dry_run: bool = False) -> LookTaken:
    return take_look(real(mlflow), of, NAME, None if champion is None else ref(champion), dry_run=dry_run)


def test_each_version_at_the_same_rows_is_a_look_and_asking_again_is_none(mlflow: Mlflow) -> None:
    assert [taken(mlflow, look(run)).number for run in "abcab"] == [1, 2, 3, 1, 2]
    assert taken(mlflow, look("a", "sha256:other")).number == 4, "other criteria are another try"
    assert sorted(mlflow.objects.held) == [f"{FOLDER}{number:06d}.json" for number in (1, 2, 3, 4)]
    assert mlflow.tags[1][LOOKS].startswith("4 sha256:")
    assert taken(mlflow, look("a"), champion=2).number == 1, "next to another version"
    assert taken(mlflow, look("a"), champion=None).number == 1


@pytest.mark.parametrize(
    ("other", "number"),
    [((0, 499), 2), ((0, 700), 2), ((100, 600), 2), ((0, 120), 2), ((600, 1100), 1), ((450, 1100), 1)],
    ids=["one row less", "rows added", "most kept", "a part chosen", "fresh", "mostly fresh"],
)
def test_rows_that_are_mostly_the_same_are_the_same_test_set(mlflow: Mlflow, other: tuple[int, int], number: int) -> None:
    taken(mlflow, look("a"))
    assert taken(mlflow, look("b", of=rows(*other))).number == number


def test_two_verdicts_at_once_get_different_numbers(mlflow: Mlflow) -> None:
    other: list[LookTaken] = []

    def first_the_other(key: str) -> None:
        mlflow.objects.before_write = lambda _: None
        assert key.endswith("000001.json")
        other.append(taken(mlflow, look("b")))

    mlflow.objects.before_write = first_the_other
    assert (taken(mlflow, look("a")).number, other[0].number) == (2, 1)


def test_looks_that_were_removed_or_changed_count_all_the_same(mlflow: Mlflow) -> None:
    for run in "abcd":
        taken(mlflow, look(run))
    key = f"{FOLDER}000004.json"
    kept = mlflow.objects.held.pop(key)
    assert taken(mlflow, look("e")) == LookTaken(5, lost=1), "the last is missed since MLflow knows it"
    mlflow.objects.held[key] = kept
    mlflow.objects.held.pop(f"{FOLDER}000002.json")
    assert taken(mlflow, look("f")).number == 6
    mlflow.objects.held[f"{FOLDER}000001.json"] = replace(look("z", of=rows(900, 950)), number=1).line()
    assert taken(mlflow, look("g")).number == 7
    for key in [key for key in mlflow.objects.held if key.startswith(FOLDER)]:
        mlflow.objects.held.pop(key)
    assert taken(mlflow, look("h")) == LookTaken(8, lost=7)


@pytest.mark.parametrize("junk", [b"", b"{}", b"[" * 100_000, b"\xff", b"x" * 100_000])
def test_foreign_objects_block_nothing(mlflow: Mlflow, junk: bytes) -> None:
    for name in ("000001.json", "999999.json", "junk", "a/b.json"):
        mlflow.objects.held[FOLDER + name] = junk
    assert taken(mlflow, look("a")) == LookTaken(2, lost=1), "what has the name of a look counts as one"
    assert taken(mlflow, look("b")).number == 3


def test_a_dry_run_goes_on_where_nothing_may_be_written(mlflow: Mlflow) -> None:
    taken(mlflow, look("a"))

    def forbidden(key: str) -> None:
        raise OutsideError(f"{key} cannot be written: AccessDenied")

    mlflow.objects.before_write = forbidden
    assert taken(mlflow, look("b"), dry_run=True) == LookTaken(2, counted=False)
    assert taken(mlflow, look("a"), dry_run=True) == LookTaken(1), "a look that is there needs no writing"
    with pytest.raises(OutsideError):
        taken(mlflow, look("b"))
