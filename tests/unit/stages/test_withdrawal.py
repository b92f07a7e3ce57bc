"""What a rollback took out of production: neither another rollback nor a promotion without a reason puts it back."""

from __future__ import annotations

import pytest

from passerelle.errors import CriteriaError
from passerelle.registry.verified import verified_ledger
from passerelle.stages.acceptance import Reasons
from passerelle.stages.rollback import rollback
from passerelle.stages.withdrawal import check_not_withdrawn, withdrawal_of
from tests.unit.registry.ledger_forgeries import put
from tests.unit.registry.memory import NAME, Bucket, Mlflow, real, ref


@pytest.fixture
def mlflow() -> Mlflow:
    """Version 2 was promoted over version 1, and paul went back."""
    made = Mlflow(Bucket())
    for version in (1, 2):
        put(made, version)
    rollback(real(made), who="paul@here")
    return made


def withdrawn(mlflow: Mlflow, version: int) -> bool:
    return withdrawal_of(verified_ledger(real(mlflow), NAME).entries, ref(version)) is not None


def test_a_second_rollback_changes_nothing_and_says_whose_the_first_was(mlflow: Mlflow) -> None:
    left = dict(mlflow.objects.held), dict(mlflow.held_aliases), dict(mlflow.stages)
    for dry_run in (True, False):
        again = rollback(real(mlflow), who="marie@here", dry_run=dry_run)
        assert (again.changed, again.ref.version) == (False, 1)
        assert again.notes[0].startswith("paul@here put it back at ")
    assert (dict(mlflow.objects.held), dict(mlflow.held_aliases), dict(mlflow.stages)) == left
    assert rollback(real(mlflow), who="marie@here", version=2).ref.version == 2


def test_a_rollback_after_the_next_promotion_goes_back_again(mlflow: Mlflow) -> None:
    put(mlflow, 3)
    assert rollback(real(mlflow), who="marie@here").ref.version == 1


def test_a_rollback_is_recorded_with_a_reason(mlflow: Mlflow) -> None:
    last = verified_ledger(real(mlflow), NAME).last_move
    assert last is not None
    assert last.reason == "version 1 was in production before"


def test_what_a_rollback_took_out_is_not_promoted_without_a_reason(mlflow: Mlflow) -> None:
    entries = verified_ledger(real(mlflow), NAME).entries
    with pytest.raises(CriteriaError, match=r"paul@here took .* version 2 out of production at .* \(rollback: ") as refused:
        check_not_withdrawn(entries, ref(2), Reasons("ci:job by root@here", None))
    assert refused.value.hint == "passerelle promote --version 2 --accept withdrawn --reason REASON\npasserelle history"
    for version in (1, 3):
        check_not_withdrawn(entries, ref(version), Reasons("ci:job by root@here", None))
    for reasons in (Reasons("marie@here", "mended"), Reasons("ci:job by root@here", "mended", ("withdrawn",))):
        check_not_withdrawn(entries, ref(2), reasons)
    for reasons in (
        Reasons("ci:job by root@here", "mended"),
        Reasons("marie@here", "so", ("criteria",)),
        Reasons("marie@here", "so", (), only_these=True),
    ):
        with pytest.raises(CriteriaError):
            check_not_withdrawn(entries, ref(2), reasons)


def test_a_version_that_was_put_back_or_replaced_is_not_withdrawn(mlflow: Mlflow) -> None:
    put(mlflow, 2)
    assert not withdrawn(mlflow, 2)
    put(mlflow, 3)
    assert not withdrawn(mlflow, 2), "a promotion took its place"
    rollback(real(mlflow), who="paul@here")
    assert withdrawn(mlflow, 3)
