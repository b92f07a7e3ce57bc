"""Entries about erasures are part of the chain, hold no content, and move nothing."""

from __future__ import annotations

import pytest

from passerelle.model.ledger_entry import CANDIDATE, ERASURE, CandidateTerms, ErasedAnswers, parsed_entry
from passerelle.model.prediction_id import new_prediction_id
from passerelle.names import LEDGER_CANDIDATE, LEDGER_ENTRY, LEDGER_ERASURE
from passerelle.registry.chain import standing_entry
from passerelle.registry.erasure_entry import erased_answers, record_erasure
from passerelle.registry.verified import verified_ledger
from tests.unit.registry.ledger_forgeries import entry_of, found, put
from tests.unit.registry.memory import NAME, Bucket, Mlflow, real
from tests.unit.registry.test_ledger_candidate import write

IDS = [new_prediction_id("0a1b2c3d", 1_764_000_000 + 86_400 * day) for day in (1, 0, 1)]


@pytest.fixture
def mlflow() -> Mlflow:
    """A registry with version 2 in production."""
    mlflow = Mlflow(Bucket(), versions=3)
    put(mlflow, 1)
    put(mlflow, 2)
    return mlflow


def record(mlflow: Mlflow, ids: list[str] | None = None) -> tuple[int, bool]:
    entry, now = record_erasure(real(mlflow), NAME, erased_answers(ids or IDS), who="marie@desk", reason="request 7", signing=None)
    return entry.number, now


def test_an_entry_holds_count_days_and_the_digest_of_the_ids_and_no_id(mlflow: Mlflow) -> None:
    assert record(mlflow) == (3, True)
    entry = verified_ledger(real(mlflow), NAME).entries[-1]
    assert (entry.what, entry.who, entry.reason, entry.to_version) == (ERASURE, "marie@desk", "request 7", 0)
    assert entry.erased == ErasedAnswers(3, erased_answers(reversed(IDS)).ids_digest, ("2025-11-24", "2025-11-25"))
    assert not [each for each in IDS if each.encode() in entry.line()]
    assert parsed_entry(entry.line()) == entry


def test_production_and_a_candidate_stand_as_before(mlflow: Mlflow) -> None:
    write(mlflow, entry_of(3, what=CANDIDATE, candidate=CandidateTerms("canary", 5, "x-rollout-key")))
    tags = {name: mlflow.held_model_tags[name] for name in (LEDGER_ENTRY, LEDGER_CANDIDATE)}
    record(mlflow)
    ledger = verified_ledger(real(mlflow), NAME)
    assert (ledger.number, ledger.in_production) == (4, 2)
    candidate, standing = ledger.last_of_candidate, standing_entry(ledger.entries)
    assert candidate is not None
    assert standing is not None
    assert (candidate.what, standing.to_version) == (CANDIDATE, 2)
    assert {name: mlflow.held_model_tags[name] for name in tags} == tags
    assert mlflow.held_model_tags[LEDGER_ERASURE] == f"4 {ledger.entries[-1].digest}"
    put(mlflow, 3)
    assert verified_ledger(real(mlflow), NAME).in_production == 3
    assert found(mlflow).findings == ()


def test_the_same_answers_are_recorded_once(mlflow: Mlflow) -> None:
    assert record(mlflow) == (3, True)
    assert record(mlflow, IDS[::-1]) == (3, False)
    assert record(mlflow, IDS[:1]) == (4, True)


def test_an_entry_cannot_be_taken_out_unnoticed(mlflow: Mlflow) -> None:
    record(mlflow)
    last = mlflow.objects.held.pop(f"ledger/{NAME}/000003.jsonl")
    assert [fault.number for fault in found(mlflow).findings] == [3]
    mlflow.objects.held[f"ledger/{NAME}/000003.jsonl"] = last
    assert found(mlflow).findings == ()


def test_a_record_that_was_interrupted_is_completed(mlflow: Mlflow) -> None:
    class Interrupted(BaseException):
        pass

    steps = 0

    def counted(number: int) -> None:
        def step(_: str) -> None:
            nonlocal steps
            steps += 1
            if steps == number:
                raise Interrupted

        mlflow.before_write = mlflow.objects.before_write = step

    for number in range(1, 20):
        steps, ids = 0, [new_prediction_id("0a1b2c3d")]
        counted(number)
        try:
            record(mlflow, ids)
        except Interrupted:
            counted(0)
            mlflow.objects.held.pop(f"ledger/{NAME}/lock.json", None)
            record(mlflow, ids)
            assert len([entry for entry in found(mlflow).entries if entry.erased == erased_answers(ids)]) == 1
            assert found(mlflow).findings == ()
        else:
            assert number > 4
            return
