"""What `status` says of a candidate that was interrupted, moved by hand or edited, and that its command resolves it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from passerelle.errors import OutsideError
from passerelle.model.ledger_entry import CANDIDATE, CandidateTerms, problem_of_terms
from passerelle.names import LEDGER_CANDIDATE
from passerelle.registry.candidate_alias import entry_of_candidate, write_candidate
from passerelle.registry.verified import verified_ledger
from passerelle.stages.rollback import rollback
from passerelle.stages.rollout import Author, end
from passerelle.stages.status import gather
from tests.unit.registry.ledger_forgeries import entry_of, found, put
from tests.unit.registry.memory import NAME, Bucket, Mlflow, real, ref

TERMS = CandidateTerms("canary", 10, "X-Rollout-Key")


@pytest.fixture
def mlflow() -> Mlflow:
    """A registry with version 1 in production."""
    mlflow = Mlflow(Bucket(), versions=3)
    put(mlflow, 1)
    return mlflow


def nominate(mlflow: Mlflow, version: int = 2, terms: CandidateTerms | None = TERMS) -> None:
    registry = real(mlflow)
    entry = entry_of_candidate(ref(version), f"sha256:{version}", "marie@here", terms=terms)
    write_candidate(registry, entry, ledger=verified_ledger(registry, NAME), signing=None, check_lock=lambda: None)


@contextmanager
def interrupted(mlflow: Mlflow, before: str) -> Iterator[None]:
    """Let the body end before this is written."""

    def fail(what: str) -> None:
        if what == before:
            raise OutsideError("gone")

    mlflow.before_write = fail
    with pytest.raises(OutsideError):
        yield
    mlflow.before_write = lambda _: None


def said(mlflow: Mlflow) -> list[tuple[str, str]]:
    status = gather(real(mlflow), bento_model=None, bento=None, service=None, service_address=None)
    return [(each.what, each.command) for each in status.disagreements]


def test_a_candidate_that_takes_part_is_no_disagreement(mlflow: Mlflow) -> None:
    assert said(mlflow) == []
    nominate(mlflow)
    assert said(mlflow) == []
    end(Author(real(mlflow), "marie@here"), "withdrawn")
    assert said(mlflow) == []


@pytest.mark.parametrize(
    ("terms", "command"),
    [
        (TERMS, "passerelle rollout --candidate 2 --weight 10"),
        (CandidateTerms("shadow", 50, "X-Client"), "passerelle rollout --candidate 2 --weight 50 --shadow --key-header X-Client"),
    ],
)
@pytest.mark.parametrize("before", [f"model tag {LEDGER_CANDIDATE}", "alias candidate"])
def test_a_beginning_that_was_interrupted_is_named_with_its_command(
    mlflow: Mlflow, terms: CandidateTerms, command: str, before: str
) -> None:
    with interrupted(mlflow, before):
        nominate(mlflow, terms=terms)
    ((what, named),) = said(mlflow)
    assert "entry 2 of the ledger makes version 2 the candidate, and MLflow's tags or alias say otherwise" in what
    assert named == command


def test_an_end_that_was_interrupted_is_completed_by_stop(mlflow: Mlflow) -> None:
    nominate(mlflow)
    with interrupted(mlflow, f"model tag {LEDGER_CANDIDATE}"):
        nominate(mlflow, terms=None)
    ((what, command),) = said(mlflow)
    assert (what[:62], command) == ("entry 3 of the ledger ended version 2 as the candidate, and ML", "passerelle rollout --stop")
    end(Author(real(mlflow), "marie@here"), "withdrawn")
    assert (said(mlflow), mlflow.held_aliases) == ([], {"production": 1})


def test_an_alias_that_was_set_by_hand_is_named(mlflow: Mlflow) -> None:
    mlflow.held_aliases["candidate"] = 3
    what = "the alias candidate points to version 3, and no entry of the ledger put it there"
    assert said(mlflow) == [(what, "passerelle rollout --candidate 3 --weight 10")]


def promoted_half(mlflow: Mlflow) -> None:
    """Promote the candidate, and be interrupted before the candidate is ended."""
    nominate(mlflow)
    with interrupted(mlflow, f"model tag {LEDGER_CANDIDATE}"):
        # The entry that ends it is withheld too, as where the process was killed right after the alias had moved.
        put(mlflow, 2)
    assert (mlflow.held_aliases["production"], mlflow.held_aliases["candidate"]) == (2, 2)


def test_a_promotion_that_was_interrupted_is_completed_by_the_command_that_status_names(mlflow: Mlflow) -> None:
    promoted_half(mlflow)
    ((_, command),) = said(mlflow)
    assert command == "passerelle rollout --stop"
    end(Author(real(mlflow), "marie@here"), "withdrawn")
    assert (said(mlflow), mlflow.held_aliases) == ([], {"production": 2, "previous": 1})
    assert found(mlflow).entries[-1].ended == "promoted"


@pytest.fixture
def unended(mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch) -> Mlflow:
    """A registry whose candidate was put into production by a process that was killed before it ended the candidate."""
    nominate(mlflow)
    with monkeypatch.context() as patch:
        patch.setattr("passerelle.stages.promotion.end_promoted", lambda *_, **__: None)
        put(mlflow, 2)
    return mlflow


def test_status_names_the_command_for_a_promoted_candidate_that_was_not_ended(unended: Mlflow) -> None:
    what = "version 2 is in production and is still the candidate: a promotion was interrupted"
    assert said(unended) == [(what, "passerelle rollout --stop")]
    end(Author(real(unended), "marie@here"), "withdrawn")
    assert (said(unended), found(unended).entries[-1].ended) == ([], "promoted")


def test_the_same_promotion_ends_the_candidate_that_it_left(unended: Mlflow) -> None:
    assert put(unended, 2).completed == ("end of the candidate, version 2",)
    assert (said(unended), unended.held_aliases) == ([], {"production": 2, "previous": 1})
    assert put(unended, 2).completed == ()


def test_a_rollback_does_not_let_a_promoted_candidate_answer_again(unended: Mlflow) -> None:
    rollback(real(unended), who="marie@here")
    assert (said(unended), unended.held_aliases) == ([], {"production": 1, "previous": 2})
    assert [entry.what for entry in found(unended).entries] == ["promote", "candidate", "promote", "rollback", "candidate-ended"]


@pytest.mark.parametrize("weight", [-1, 101])
def test_a_weight_that_is_no_share_is_said_with_the_command_that_sets_one(mlflow: Mlflow, weight: int) -> None:
    nominate(mlflow, terms=CandidateTerms("canary", weight, "X-Rollout-Key"))
    ((what, command),) = said(mlflow)
    assert f"gives the candidate, version 2, a weight of {weight}: no share of the requests in percent, 0 to 100" in what
    assert command == "passerelle rollout --candidate 2 --weight 10"


def test_an_entry_without_a_weight_has_a_problem() -> None:
    assert problem_of_terms(entry_of(2, number=7, what=CANDIDATE)) == (
        "entry 7 of the ledger names version 2 as the candidate, and not its weight"
    )
    assert problem_of_terms(entry_of(2, number=7)) is None
