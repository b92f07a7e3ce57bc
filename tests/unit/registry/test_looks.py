"""The looks at test sets are counted, each once, and none is lost without a word."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from passerelle.errors import OutsideError
from passerelle.model.ledger_entry import Entry
from passerelle.names import LOOKS
from passerelle.registry.ledger import BEGINNING
from passerelle.registry.look_anchors import look_param
from passerelle.registry.look_objects import parsed_look
from passerelle.registry.look_record import look_faults
from passerelle.registry.looks import Look, LookTaken, RowSet, take_look
from passerelle.settings import SigningSettings
from tests.signing_fixtures import Keys
from tests.unit.registry.ledger_forgeries import entry_of
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


def taken(
    mlflow: Mlflow, of: Look, *, champion: int | None = 1, dry_run: bool = False, signing: SigningSettings | None = None
) -> LookTaken:
    return take_look(real(mlflow), of, NAME, None if champion is None else ref(champion), dry_run=dry_run, signing=signing)


def faults(mlflow: Mlflow, signing: SigningSettings | None = None, *entries: Entry) -> list[str]:
    return list(look_faults(real(mlflow), NAME, entries, ref(1), signing))


def rewritten(mlflow: Mlflow, looks: list[Look]) -> None:
    """Put other looks in the place of those that were taken, chained as passerelle does, in S3 and in the tag of the version."""
    for key in [key for key in mlflow.objects.held if key.startswith(FOLDER)]:
        mlflow.objects.held.pop(key)
    before = BEGINNING
    for number, each in enumerate(looks, start=1):
        chained = replace(each, number=number, before=before)
        mlflow.objects.held[f"{FOLDER}{number:06d}.json"], before = chained.line(), chained.digest
    mlflow.tags[1].pop(LOOKS, None)
    if looks:
        mlflow.tags[1][LOOKS] = f"{len(looks)} {before}"


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


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_who_writes_to_mlflow_and_s3_wins_no_look_back(mlflow: Mlflow, kept: int) -> None:
    looks = [look(run) for run in "abcd"]
    for each in looks:
        taken(mlflow, each)
    assert faults(mlflow) == []
    rewritten(mlflow, looks[:kept])
    assert "removed, changed or forged" in faults(mlflow)[0]
    assert taken(mlflow, look("e")) == LookTaken(5, lost=4 - kept)


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_who_writes_to_the_database_of_mlflow_wins_no_look_back_and_is_told(mlflow: Mlflow, kept: int) -> None:
    for run in "abcd":
        taken(mlflow, look(run))
    mlflow.tags[1].pop(LOOKS)
    mlflow.params[ref(1).run_id] = {name: mlflow.params[ref(1).run_id][name] for name in sorted(mlflow.params[ref(1).run_id])[:kept]}
    assert f"MLflow does not know number{'' if kept == 2 else 's'} {', '.join('123'[kept:])}, or no longer" in faults(mlflow)[0]
    assert taken(mlflow, look("e")) == LookTaken(5, unknown=3 - kept)
    assert look_param(NAME, 4) in mlflow.params[ref(1).run_id], "the last one's writer may have been interrupted"


@pytest.mark.parametrize("kept", [0, 2])
def test_nor_who_writes_to_s3_too_where_the_bucket_keeps_former_versions(mlflow: Mlflow, kept: int) -> None:
    looks = [look(run) for run in "abcd"]
    for each in looks:
        taken(mlflow, each)
    mlflow.params.clear()
    rewritten(mlflow, looks[:kept])
    mlflow.objects.altered = {f"{FOLDER}{number:06d}.json" for number in range(kept + 1, 5)}
    assert taken(mlflow, look("e")) == LookTaken(5, lost=4 - kept, unknown=max(kept - 1, 0))
    assert set(mlflow.objects.until) == {f"{FOLDER}{number:06d}.json" for number in range(1, 6)}, "each is locked"


def test_nor_by_other_looks_in_their_place(mlflow: Mlflow) -> None:
    for run in "abcd":
        taken(mlflow, look(run))
    rewritten(mlflow, [look(run, of=rows(900, 1000)) for run in "abcd"])
    assert taken(mlflow, look("e")) == LookTaken(5, lost=4)
    rewritten(mlflow, [look("f")])
    assert taken(mlflow, look("f")).number > 4, "one that is to be taken next, and was put first"


def test_a_parameter_that_somebody_wrote_first_only_costs_looks(mlflow: Mlflow) -> None:
    taken(mlflow, look("a"))
    mlflow.params[ref(1).run_id] |= {look_param(NAME, 2): "sha256:junk", look_param(NAME) + "x": "y", "C": "10"}
    assert taken(mlflow, look("b")) == LookTaken(3, lost=1)
    assert taken(mlflow, look("c")) == LookTaken(4, lost=1)


def test_looks_of_another_registered_model_of_the_same_run_are_not_missed(mlflow: Mlflow) -> None:
    taken(mlflow, look("a"))
    mlflow.params[ref(1).run_id] |= {look_param("another", 1): "sha256:" + "a" * 64, look_param("another", 2): "sha256:" + "b" * 64}
    assert faults(mlflow) == []
    assert taken(mlflow, look("b")) == LookTaken(2)


def test_looks_are_signed_where_there_is_a_key(mlflow: Mlflow, ours: Keys, theirs: Keys) -> None:
    signs, verifies = SigningSettings.read(signing_key=ours.private), SigningSettings.read(verify_key=ours.public)
    other = SigningSettings.read(signing_key=theirs.private)
    taken(mlflow, look("a"))
    assert taken(mlflow, look("b"), signing=signs) == LookTaken(2), "a signature covers the looks before it"
    assert taken(mlflow, look("c"), signing=verifies) == LookTaken(3)
    assert taken(mlflow, look("d"), signing=verifies) == LookTaken(4, unsigned=1)
    without = f"the looks next to the run {ref(1).run_id}: numbers 3, 4 without a signature, and earlier ones are signed"
    assert faults(mlflow, verifies) == [without]
    assert taken(mlflow, look("e"), signing=other).number == 5
    assert taken(mlflow, look("f", of=rows(900, 1000)), signing=verifies) == LookTaken(2, lost=1, unsigned=2)
    assert "number 5 was removed, changed or forged" in faults(mlflow, verifies)[0]
    required = SigningSettings.read(verify="required", verify_key=ours.public)
    assert taken(Mlflow(Bucket()), look("a"), signing=required) == LookTaken(1)


def test_an_entry_says_at_which_look_it_was_decided_and_is_missed_without_it(mlflow: Mlflow) -> None:
    for run in "ab":
        taken(mlflow, look(run))
    proof = taken(mlflow, look("c")).proof
    assert proof is not None
    stored = parsed_look(mlflow.objects.held[f"{FOLDER}000003.json"], 3)
    assert stored is not None
    assert (proof.beside, proof.number, proof.among, proof.digest) == (ref(1).run_id, 3, 3, stored.digest)
    entry = replace(entry_of(1), number=1, look=proof)
    assert faults(mlflow, None, entry) == []
    mlflow.params.clear()
    rewritten(mlflow, [look("c")])
    missing = f"the looks next to the run {ref(1).run_id}: entry 1 of the ledger was decided at number 3, which is missing or another now"
    assert faults(mlflow, None, entry) == [missing]
