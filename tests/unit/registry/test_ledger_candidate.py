"""Entries about a candidate are part of the chain, and say nothing of what is in production."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from passerelle.errors import RefusedError
from passerelle.model.ledger_entry import CANDIDATE, CANDIDATE_ENDED, CandidateTerms, Entry, parsed_entry
from passerelle.names import LEDGER_CANDIDATE, LEDGER_ENTRY, ledger_artifact
from passerelle.registry.anchors import confirm, publish
from passerelle.registry.chain import standing_entry, stood
from passerelle.registry.ledger import Ledger
from passerelle.registry.objects import Objects
from passerelle.registry.production import standing
from passerelle.registry.verified import append, verified_ledger
from passerelle.stages.promotion import put_in_production, stands
from passerelle.stages.promotion_lines import lines_of_promotion
from passerelle.stages.rollback import rollback
from passerelle.stages.status import gather
from tests.unit.registry.ledger_forgeries import entry_of, found, put
from tests.unit.registry.memory import NAME, Bucket, Mlflow, real, ref

TERMS = CandidateTerms("canary", 0, "x-rollout-key", {"max_error_share": 0.01, "min_requests": 200})


@pytest.fixture
def mlflow() -> Mlflow:
    """A registry with version 2 in production, version 1 there before, and version 3 as the candidate."""
    mlflow = Mlflow(Bucket(), versions=3)
    put(mlflow, 1)
    put(mlflow, 2)
    write(mlflow, entry_of(3, what=CANDIDATE, candidate=TERMS))
    return mlflow


def write(mlflow: Mlflow, entry: Entry) -> Entry:
    registry = real(mlflow)
    written = append(registry, verified_ledger(registry, NAME), entry, None, check_lock=lambda: None)
    assert written is not None
    publish(registry, written)
    confirm(registry, written)
    return written


def test_a_line_that_was_written_before_candidates_keeps_its_digest() -> None:
    entry = Entry(7, "sha256:0", "2026-01-01T00:00:00", "marie@here", "promote", NAME, 1, 2, "2" * 32, "sha256:2", metrics={"f1": 0.5})
    assert entry.digest == "sha256:387632b7c614595a01b4cdb84e72e8927f0b6f93a671027147eab3baebcf22a6"
    assert b"candidate" not in entry.line()


def test_a_weight_of_zero_and_the_limits_are_stored() -> None:
    entry = entry_of(3, what=CANDIDATE, candidate=TERMS)
    assert parsed_entry(entry.line()) == entry
    assert b'"weight":0' in entry.line()
    assert parsed_entry(entry.line().replace(b'"mode":"canary"', b'"mode":"all"')) is None


def test_a_candidate_leaves_production_alone(mlflow: Mlflow) -> None:
    ledger = verified_ledger(real(mlflow), NAME)
    assert (ledger.number, ledger.in_production) == (3, 2)
    assert [entry.to_version for entry in stood(ledger.entries)] == [1, 2]
    entry = standing_entry(ledger.entries)
    assert entry is not None
    assert entry.to_version == 2
    assert found(mlflow).findings == ()


def test_its_entry_has_a_tag_of_its_own(mlflow: Mlflow) -> None:
    entry = verified_ledger(real(mlflow), NAME).entries[2]
    text = f"3 {entry.digest}"
    assert mlflow.held_model_tags[LEDGER_CANDIDATE] == mlflow.tags[3][LEDGER_CANDIDATE] == text
    assert mlflow.held_model_tags[LEDGER_ENTRY] == mlflow.tags[2][LEDGER_ENTRY] != text
    assert LEDGER_ENTRY not in mlflow.tags[3]
    assert mlflow.artifacts[ref(3).run_id, ledger_artifact(3)] == entry.line().decode()


def test_a_candidate_cannot_be_taken_out_of_the_ledger_unnoticed(mlflow: Mlflow) -> None:
    entries = found(mlflow).entries
    ledger = Ledger(cast("Objects", mlflow.objects), NAME)
    del mlflow.objects.held[ledger.key(3)]
    ledger.write_head(entries[1], head_tag=ledger.read_head()[1])
    assert "MLflow knows it, and it is missing here" in found(mlflow).findings[0].problem


def test_production_still_stands_for_every_command(mlflow: Mlflow) -> None:
    mlflow.held_aliases["candidate"] = 3
    registry, ledger = real(mlflow), verified_ledger(real(mlflow), NAME)
    assert stands(standing(registry, NAME), ledger, 2)
    assert not put(mlflow, 2).changed
    lines_of_promotion(registry, mlflow.model_version(NAME, 2), None, alias=True, required=True)
    status = gather(registry, bento_model=None, bento=None, service=None, service_address=None)
    assert (status.holdings.ledger, status.disagreements) == (2, ())


def test_a_candidate_was_not_in_production_for_a_rollback(mlflow: Mlflow) -> None:
    with pytest.raises(RefusedError, match="never in production"):
        rollback(real(mlflow), who="marie@here", version=3)
    assert rollback(real(mlflow), who="marie@here").ref.version == 1


def test_moves_and_candidates_go_on_in_one_chain(mlflow: Mlflow) -> None:
    write(mlflow, entry_of(3, what=CANDIDATE_ENDED, ended="withdrawn"))
    assert put(mlflow, 3).changed
    write(mlflow, entry_of(1, what=CANDIDATE, candidate=TERMS))
    ledger = verified_ledger(real(mlflow), NAME)
    assert (ledger.number, ledger.in_production) == (6, 3)
    assert ledger.last_of_candidate == ledger.last


def test_a_candidate_that_is_promoted_is_one_no_longer(mlflow: Mlflow) -> None:
    mlflow.held_aliases["candidate"] = 3
    assert put(mlflow, 1).changed
    assert mlflow.held_aliases["candidate"] == 3
    assert put(mlflow, 3).changed
    ledger = verified_ledger(real(mlflow), NAME)
    assert (ledger.number, ledger.in_production) == (6, 3)
    assert "candidate" not in mlflow.held_aliases
    assert ledger.last_of_candidate is not None
    assert ledger.last_of_candidate.ended == "promoted"


def test_a_promotion_that_was_judged_before_a_candidate_came_goes_on(mlflow: Mlflow) -> None:
    since = verified_ledger(real(mlflow), NAME)
    write(mlflow, entry_of(3, what=CANDIDATE, candidate=replace(TERMS, weight=50)))
    assert put_in_production(real(mlflow), ref(3), entry_of(3), since=since, judged=True).changed


def test_an_interrupted_entry_about_a_candidate_is_completed_by_the_next(mlflow: Mlflow) -> None:
    registry = real(mlflow)
    written = append(
        registry, verified_ledger(registry, NAME), entry_of(3, what=CANDIDATE_ENDED, ended="withdrawn"), None, check_lock=lambda: None
    )
    assert written is not None
    assert put(mlflow, 1).changed
    assert mlflow.held_model_tags[LEDGER_CANDIDATE] == f"4 {written.digest}"
    assert mlflow.tags[1][LEDGER_ENTRY].startswith("5 ")
