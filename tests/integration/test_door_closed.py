"""Ways around the gate, each of which is closed: by a rollback, by a hand on the alias, by a rival, by a forged or broken ledger."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from passerelle.criteria import Criteria
from passerelle.errors import BusyError, IntegrityError, OutsideError, RefusedError
from passerelle.names import ARTIFACT_DIGEST, TRUSTED_PICKLE
from passerelle.registry import lock
from passerelle.registry import production as move
from passerelle.registry.client import Registry
from passerelle.registry.ledger import Ledger
from passerelle.registry.lock import promotion_lock
from passerelle.registry.production import standing
from passerelle.registry.verified import history
from passerelle.settings import StoreSettings
from passerelle.stages.import_model import import_model
from passerelle.stages.promote import PromotionRequest, promote
from passerelle.stages.rollback import rollback
from tests.integration.test_door import disagreements, two
from tests.platform_fixtures import HERE, RegisteredForTests, moved

pytestmark = pytest.mark.integration
LENIENT = Criteria.model_validate({"champion": {"must_be_better": False, "not_worse_by": 1.0}})


def ledger_of(registry: Registry) -> Ledger:
    return Ledger(registry.objects, registry.settings.registered_model)


def problems(registry: Registry) -> list[str]:
    return [finding.problem for finding in history(registry, registry.settings.registered_model).findings]


def promoted(registry: Registry) -> list[int]:
    return [entry.to_version for entry in history(registry, registry.settings.registered_model).entries]


def test_a_rollback_goes_only_to_what_was_in_production(registered: RegisteredForTests) -> None:
    registry, first, second = two(registered)
    moved(registry, first)
    with pytest.raises(RefusedError, match="was never in production") as told:
        rollback(registry, who="test@here", version=2)
    assert told.value.hint == "passerelle promote --version 2"
    registry.set_alias(second, "previous")
    with pytest.raises(RefusedError, match="was never in production"):
        rollback(registry, who="test@here")
    assert standing(registry, first.registered_model).production == 1


def test_a_rollback_takes_no_version_whose_digest_was_changed_and_no_trusted_pickle(registered: RegisteredForTests) -> None:
    registry, first, second = two(registered)
    moved(registry, first)
    moved(registry, second)
    digest = registry.model_version(first.registered_model, 1).tags[ARTIFACT_DIGEST]
    registry.set_version_tags(first, {ARTIFACT_DIGEST: "sha256:" + "0" * 64})
    with pytest.raises(IntegrityError, match="somebody changed it"):
        rollback(registry, who="test@here")
    registry.set_version_tags(first, {ARTIFACT_DIGEST: digest, TRUSTED_PICKLE: "true"})
    with pytest.raises(RefusedError, match="trusted in development"):
        rollback(registry, who="test@here", development=False)
    assert rollback(registry, who="test@here").ref.version == 1


def test_a_promotion_that_was_undone_is_nothing_to_go_back_to(registered: RegisteredForTests, monkeypatch: pytest.MonkeyPatch) -> None:
    registry, first, second = two(registered)
    moved(registry, first)

    def breaks(*_: object) -> list[tuple[str, Callable[[], None]]]:
        def fails() -> None:
            raise OutsideError("MLflow went away")

        return [("break", fails)]

    with monkeypatch.context() as patch, pytest.raises(OutsideError):
        patch.setattr(move, "plan", breaks)
        moved(registry, second)
    with pytest.raises(RefusedError, match="was never in production"):
        rollback(registry, who="test@here", version=2)


def test_who_promotes_while_another_is_judged_wins_and_the_other_is_judged_anew(registered: RegisteredForTests) -> None:
    registry, first, second = two(registered)

    def meanwhile(_: str) -> None:
        moved(registry, second, "marie@here")

    with pytest.raises(BusyError, match=r"promote of version 2 by marie@here at .* since version 1 was checked"):
        promote(registry, ref=first, criteria=LENIENT, request=PromotionRequest(who="paul@here", serving=HERE, on_report=meanwhile))
    assert standing(registry, first.registered_model).production == 2
    assert promoted(registry) == [2]


def test_an_alias_moved_by_hand_is_not_the_champion_and_is_not_imported(registered: RegisteredForTests, tmp_path: Any) -> None:
    registry, first, second = two(registered)
    moved(registry, first)
    registry.set_alias(second, "production")
    store = StoreSettings.read(bentoml_home=tmp_path / "bentoml")
    with pytest.raises(IntegrityError, match="no promotion put it there"):
        import_model(registry, store)
    strict = Criteria.model_validate({"champion": {"superior": True, "too_few": "refuse", "metric": "accuracy"}})
    done = promote(
        registry,
        ref=second,
        criteria=strict,
        request=PromotionRequest(who="test@here", serving=HERE, force=True, reason="seen"),
        dry_run=True,
    )
    assert "champion" in {finding.check for finding in done.findings}, "it is compared with the version that the ledger names"
    rollback(registry, who="test@here", version=1)
    assert import_model(registry, store).created
    digest = registry.model_version(first.registered_model, 1).tags[ARTIFACT_DIGEST]
    registry.set_version_tags(first, {ARTIFACT_DIGEST: "sha256:" + "0" * 64})
    with pytest.raises(IntegrityError, match="somebody changed it"):
        import_model(registry, StoreSettings.read(bentoml_home=tmp_path / "other"))
    # Tests that sign a version of this run look at all its versions.
    registry.set_version_tags(first, {ARTIFACT_DIGEST: digest})


def test_status_names_one_command_and_it_mends(registered: RegisteredForTests) -> None:
    registry, first, second = two(registered)
    name = first.registered_model
    registry.set_alias(first, "production")
    registry.set_stage(first, "Production")
    assert disagreements(registry) == ["passerelle promote --version 1"]
    assert promote(registry, ref=first, criteria=LENIENT, request=PromotionRequest(who="test@here", serving=HERE)).changed
    assert disagreements(registry) == []

    def both() -> None:
        registry.set_alias(second, "production")
        registry.set_stage(first, "Archived")

    hands: dict[str, Callable[[], None]] = {
        "alias removed": lambda: registry.delete_alias(name, "production"),
        "alias moved": lambda: registry.set_alias(second, "production"),
        "stage moved": lambda: registry.set_stage(second, "Production"),
        "both": both,
    }
    for hand in hands.values():
        hand()
        assert disagreements(registry) == ["passerelle rollback --version 1"]
        rollback(registry, who="test@here", version=1)
        assert disagreements(registry) == []


def rewritten(registry: Registry, key: str, content: bytes) -> None:
    registry.objects.delete(key)
    assert registry.objects.create(key, content)


def test_one_entry_inserted_at_the_end_and_a_last_one_changed_with_its_head_are_found(registered: RegisteredForTests) -> None:
    registry, first, second = two(registered)
    moved(registry, first)
    moved(registry, second)
    assert problems(registry) == []
    ledger = ledger_of(registry)
    last, head = history(registry, first.registered_model).entries[-1], ledger.head_key
    forged = replace(last, number=3, before=last.digest, to_version=1)
    rewritten(registry, ledger.key(3), forged.line())
    assert problems(registry) == [], "the head does not name it, so it counts for nothing"
    assert history(registry, first.registered_model).foreign == (ledger.key(3),)
    registry.objects.delete(ledger.key(3))
    held = registry.objects.read(head)[0]

    def head_of(entry: Any) -> bytes:
        return json.dumps({"number": entry.number, "digest": entry.digest, "entry": entry.line().decode()}).encode()

    rewritten(registry, head, head_of(forged))
    unknown = "MLflow does not know it, and passerelle tells MLflow of an entry before it writes one: somebody else wrote it"
    assert problems(registry) == [unknown]
    changed = replace(last, who="nobody@nowhere")
    rewritten(registry, ledger.key(2), changed.line())
    rewritten(registry, head, head_of(changed))
    assert problems(registry) == ["MLflow knows another entry of this number: this one was changed or inserted"]
    rewritten(registry, ledger.key(2), last.line())
    rewritten(registry, head, held)
    assert problems(registry) == []


def test_a_writer_that_was_interrupted_loses_nothing(registered: RegisteredForTests, monkeypatch: pytest.MonkeyPatch) -> None:
    registry, first, second = two(registered)
    moved(registry, first)
    real = type(registry.objects).create

    def interrupted(self: Any, key: str, content: bytes) -> bool:
        if key.endswith("000002.jsonl"):
            raise KeyboardInterrupt
        return real(self, key, content)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(type(registry.objects), "create", interrupted)
        moved(registry, second)
    assert promoted(registry) == [1, 2]
    assert problems(registry) == []
    assert standing(registry, first.registered_model).production == 1
    assert disagreements(registry) == ["passerelle rollback --version 2"]
    rollback(registry, who="test@here", version=1)
    assert promoted(registry) == [1, 2, 1]
    assert problems(registry) == []
    assert disagreements(registry) == []


def test_a_last_entry_that_is_not_readable_is_named_and_not_taken_for_a_rival(registered: RegisteredForTests) -> None:
    registry, first, second = two(registered)
    moved(registry, first)
    rewritten(registry, ledger_of(registry).key(1), b"{}\n")
    with pytest.raises(IntegrityError, match=r"000001.jsonl does not hold an entry"):
        moved(registry, second)


def test_a_lock_is_as_old_as_s3_says_and_once_lost_nothing_is_touched(
    registered: RegisteredForTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, first, second = two(registered)
    moved(registry, first)
    name = first.registered_model
    with promotion_lock(registry.objects, name, "marie@here", "promote of version 9") as held:
        with pytest.raises(BusyError, match=r"marie@here holds the lock: promote of version 9, for \d+ s now"):
            moved(registry, second)
        monkeypatch.setattr(lock, "STALE_S", -5.0)
        with promotion_lock(registry.objects, name, "paul@here", "promote of version 2"), pytest.raises(BusyError, match="has gone on"):
            held()
    assert standing(registry, name).production == 1


def test_a_write_whose_answer_was_lost_counts_as_done(registered: RegisteredForTests) -> None:
    objects = registered.fresh().objects
    key = f"ledger/{registered.fresh().settings.registered_model}/lost.json"
    assert objects.create(key, b"mine")
    assert objects.create(key, b"mine"), "the client sends a write again when its answer does not come"
    assert not objects.create(key, b"another's")
    objects.delete(key)


def test_criteria_and_reports_of_every_gate_run_are_kept(registered: RegisteredForTests, tmp_path: Any) -> None:
    registry, first, second = two(registered)
    pages: list[str] = []
    done = promote(registry, ref=first, criteria=LENIENT, request=PromotionRequest(who="test@here", serving=HERE, on_report=pages.append))
    other = Criteria.model_validate({"champion": {"must_be_better": False, "not_worse_by": 0.9}})
    promote(registry, ref=second, criteria=other, request=PromotionRequest(who="test@here", serving=HERE, on_report=pages.append))
    assert done.entry is not None
    folder = ledger_of(registry).criteria_folder
    kept = {key.rpartition("/")[2].removesuffix(".json"): registry.objects.read(key)[0] for key in registry.objects.keys(folder)}
    assert set(kept) == {each.digest.removeprefix("sha256:") for each in (LENIENT, other)}
    assert json.loads(kept[LENIENT.digest.removeprefix("sha256:")])["champion"]["margin"] == 1.0
    digest = str(done.entry.report_digest).removeprefix("sha256:")
    page = registry.run_artifact(first.run_id, f"gate/{digest[:12]}/report.html", tmp_path)
    assert page.read_text(encoding="utf-8") == pages[0]
    assert problems(registry) == []
