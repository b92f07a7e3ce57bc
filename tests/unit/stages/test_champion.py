"""A version in production that is gone from MLflow or was made anew stops nobody for ever, and nobody takes another one for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from passerelle.errors import IntegrityError, NotFoundError, OutsideError, RefusedError
from passerelle.names import ARTIFACT_DIGEST, ModelVersionRef
from passerelle.registry.chain import REANCHORED
from passerelle.registry.client import VersionInfo
from passerelle.registry.production import standing
from passerelle.registry.verified import verified_ledger
from passerelle.stages.champion import StandingChampion, champion_of, judged_beside
from passerelle.stages.judgement import Judgement, PromotionRequest
from passerelle.stages.promotion import put_in_production, stands
from passerelle.stages.promotion_lines import lines_of_promotion
from passerelle.stages.rollback import rollback
from passerelle.stages.status import gather
from passerelle.stages.trace import _promotion
from tests.unit.registry.ledger_forgeries import entry_of, found, put
from tests.unit.registry.memory import NAME, Bucket, Mlflow, real, ref

ANEW = "f" * 32


class Anew(Mlflow):
    """MLflow in which version 1 is of another run than the one that was promoted."""

    def model_version(self, registered_model: str, version: int) -> VersionInfo:
        info = super().model_version(registered_model, version)
        return info if version != 1 else VersionInfo(ModelVersionRef(NAME, 1, ANEW), info.tags, info.stage, "", 0)


@pytest.fixture
def mlflow() -> Mlflow:
    mlflow = Mlflow(Bucket())
    put(mlflow, 1)
    return mlflow


def made_anew(mlflow: Mlflow, versions: int = 1) -> Mlflow:
    """Return the registry after its registered model was deleted and made anew: the ledger in S3 is what it was."""
    new = Anew(mlflow.objects, versions)
    new.tags[1] = {ARTIFACT_DIGEST: "sha256:anew"}
    return new


def commands(mlflow: Mlflow) -> list[str]:
    status = gather(real(mlflow), bento_model=None, bento=None, service=None, service_address=None)
    return [each.command for each in status.disagreements]


def test_a_version_of_the_same_number_is_another_one(mlflow: Mlflow) -> None:
    new = made_anew(mlflow)
    new.held_aliases, new.stages = {"production": 1}, {1: "Production"}
    with pytest.raises(IntegrityError, match="made anew") as refused:
        verified_ledger(real(new), NAME)
    assert str(refused.value.hint).endswith("passerelle promote --version N --accept ledger --reason REASON")
    assert commands(new) == ["passerelle promote --version 1 --accept ledger --reason REASON"]
    ledger = verified_ledger(real(new), NAME, unanchored=True)
    assert not stands(standing(real(new), NAME), ledger, 1)
    champion = champion_of(real(new), ledger, 1)
    assert (champion.version, "another run under its number" in str(champion.gone)) == (None, True)
    with pytest.raises(IntegrityError):
        rollback(real(new), who="paul@here", version=1)
    with pytest.raises(IntegrityError):
        put(new, 1)
    entry = entry_of(1, run_id=ANEW, artifact_digest="sha256:anew", reason="made anew on purpose")
    put_in_production(real(new), ModelVersionRef(NAME, 1, ANEW), entry, since=ledger, judged=True)
    assert (found(new).findings, [each.number for each in found(new).entries], commands(new)) == ((), [1, 2], [])
    assert stands(standing(real(new), NAME), verified_ledger(real(new), NAME), 1)
    assert _promotion(real(new), real(new).model_version(NAME, 1), None).value == "2"


def test_entries_before_a_person_went_on_lead_no_rollback_back(mlflow: Mlflow) -> None:
    put(mlflow, 2)
    new = Mlflow(mlflow.objects, 3)
    ledger = verified_ledger(real(new), NAME, unanchored=True)
    assert ledger.unanchored
    entry = entry_of(3, waived={REANCHORED: "marie@here: why"})
    put_in_production(real(new), ref(3), entry, since=ledger, judged=True)
    put(new, 1)
    for version, refused in ((2, True), (3, False)):
        if refused:
            with pytest.raises(RefusedError, match="was never in production"):
                rollback(real(new), who="paul@here", version=version)
        else:
            assert rollback(real(new), who="paul@here", version=version).changed


def test_the_entry_of_the_dead_version_is_not_that_of_the_new_one(mlflow: Mlflow) -> None:
    put(mlflow, 2)
    new = Anew(mlflow.objects, 3)
    new.held_model_tags, new.tags[2] = mlflow.held_model_tags, mlflow.tags[2]
    one = real(new).model_version(NAME, 1)
    link = _promotion(real(new), one, None)
    assert (link.value, "another run or other files" in link.note) == (None, True)
    assert lines_of_promotion(real(new), one, None, alias=False, required=False) == b""
    with pytest.raises(RefusedError, match="no promotion ever put") as refused:
        lines_of_promotion(real(new), one, None, alias=False, required=True)
    assert refused.value.hint == "passerelle promote --version 1; passerelle import --version 1"


def test_the_same_run_registered_again_is_judged_next_to(mlflow: Mlflow) -> None:
    new = Mlflow(mlflow.objects, 2)
    ledger = verified_ledger(real(new), NAME, unanchored=True)
    assert champion_of(real(new), ledger, None) == StandingChampion(1)


def delete_the_version(mlflow: Mlflow) -> None:
    mlflow.delete_version(2)


def change_its_digest(mlflow: Mlflow) -> None:
    mlflow.tags[2] |= {ARTIFACT_DIGEST: "sha256:other"}


@pytest.mark.parametrize("lose", [delete_the_version, change_its_digest], ids=lambda lose: lose.__name__)
def test_the_command_that_status_names_goes_on(mlflow: Mlflow, lose: Callable[[Mlflow], None]) -> None:
    put(mlflow, 2)
    lose(mlflow)
    ledger = verified_ledger(real(mlflow), NAME)
    champion = champion_of(real(mlflow), ledger, standing(real(mlflow), NAME).production)
    assert (champion.version, "version 2" in str(champion.gone)) == (None, True)
    assert commands(mlflow)[0] == "passerelle rollback --version 1"
    rollback(real(mlflow), who="paul@here", version=1)
    assert (found(mlflow).findings, commands(mlflow)) == ((), [])


def test_where_there_is_no_previous_version_the_newest_is_promoted_or_one_is_registered(mlflow: Mlflow) -> None:
    mlflow.delete_version(1)
    assert commands(mlflow) == ["passerelle promote --version 3 --accept champion-gone --reason REASON"]
    put(mlflow, 3)
    assert (commands(mlflow), found(mlflow).findings) == ([], ())
    for version in (2, 3):
        mlflow.delete_version(version)
    assert commands(mlflow) == ["passerelle register; passerelle promote --accept champion-gone --reason REASON"]


def judge_of(failing: dict[int, Exception]) -> tuple[list[int | None], Callable[[int | None], Judgement]]:
    asked: list[int | None] = []

    def judge(champion: int | None) -> Judgement:
        asked.append(champion)
        if champion is not None and champion in failing:
            raise failing[champion]
        return Judgement("sha256:c", None, "", None, forced=False)

    return asked, judge


@pytest.mark.parametrize(
    ("who", "reason", "goes_on"),
    [("marie@here", "lost with the old bucket", True), ("marie@here", None, False), ("ci:7 by runner@here", "lost", False)],
)
@pytest.mark.parametrize("gone", ["version 1 is gone", None], ids=["known before", "found when it was judged"])
def test_a_person_with_a_reason_goes_on_without_the_champion(
    mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch, *, who: str, reason: str | None, goes_on: bool, gone: str | None
) -> None:
    monkeypatch.setattr(mlflow, "run", lambda _: real(mlflow).model_version(NAME, 1).ref)
    mlflow.read_json = raises(NotFoundError("the manifest is gone"))  # type: ignore[method-assign]
    asked, judge = judge_of({1: NotFoundError("version 1 has no files of a model")})
    champion = StandingChampion(None, gone) if gone else StandingChampion(1)
    request = PromotionRequest(who=who, reason=reason)
    if goes_on:
        _, used = judged_beside(real(mlflow), ref(3), champion, request, judge)
        assert (used.version, "version 1" in str(used.gone), asked[-1]) == (None, True, None)
        return
    with pytest.raises(RefusedError, match="takes the reason of a person who accepts that") as refused:
        judged_beside(real(mlflow), ref(3), champion, request, judge)
    assert refused.value.hint == "passerelle promote --model comments --version 3 --accept champion-gone --reason REASON"
    assert None not in asked


def test_a_server_that_does_not_answer_is_no_lost_champion(mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow, "run", lambda _: real(mlflow).model_version(NAME, 1).ref)
    mlflow.read_json = raises(OutsideError("MLflow does not answer"))  # type: ignore[method-assign]
    asked, judge = judge_of({1: OutsideError("S3 does not answer")})
    with pytest.raises(OutsideError):
        judged_beside(real(mlflow), ref(3), StandingChampion(1), PromotionRequest(who="marie@here", reason="why"), judge)
    assert asked == [1]


def raises(error: Exception) -> Callable[..., Any]:
    def raising(*_: Any) -> Any:
        raise error

    return raising
