"""Only what the ledger put into production is followed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from passerelle.model.ledger_entry import digest_of, parsed_entry
from passerelle.model.numbered_params import numbered_param
from passerelle.names import ENTRY_PARAM, LEDGER_ENTRY, ledger_artifact
from passerelle.serving.following.failures import NotReachedError, VersionRefusedError
from passerelle.serving.following.ledger_check import ledger_entry
from passerelle.serving.following.mlflow_rest import MlflowRest
from passerelle.settings import SigningSettings
from tests.unit.serving.following.registry_double import ALIAS, NAME, RegistryDouble


def checked(registry: RegistryDouble, folder: Path, *, highest: int = 0, **signing: Any) -> bytes:
    mlflow = MlflowRest(registry.settings(folder))
    version = mlflow.aliased(NAME, ALIAS)
    assert version is not None
    return ledger_entry(mlflow, version, SigningSettings.read({}, **signing), highest=highest)


def refusal(registry: RegistryDouble, folder: Path, **given: Any) -> str:
    with pytest.raises(VersionRefusedError) as refused:
        checked(registry, folder, **given)
    assert refused.value.code in ("ledger", "signature")
    return refused.value.message


def test_what_was_promoted_is_followed(registry: RegistryDouble, tmp_path: Path) -> None:
    entry = parsed_entry(checked(registry, tmp_path))
    assert entry is not None
    assert (entry.number, entry.to_version) == (1, 1)


def test_an_alias_that_was_moved_by_hand_is_not(registry: RegistryDouble, tmp_path: Path) -> None:
    registry.alias = 2
    assert "version 2, and no promotion put it there" in refusal(registry, tmp_path)
    registry.promote(2, 2)
    registry.alias = 1
    assert "entry 2 of the ledger is about another version" in refusal(registry, tmp_path)
    registry.model_tags.clear()
    assert "the ledger is empty" in refusal(registry, tmp_path)


def test_an_old_entry_is_not_believed_again(registry: RegistryDouble, tmp_path: Path) -> None:
    checked(registry, tmp_path, highest=1)
    assert "went back from entry 2 to entry 1" in refusal(registry, tmp_path, highest=2)


@pytest.mark.parametrize(("number", "digest"), [(2, None), (1, "sha256:0"), (3, "sha256:0")])
def test_a_version_whose_run_knows_a_later_move_is_not_followed(
    registry: RegistryDouble, tmp_path: Path, number: int, digest: str | None
) -> None:
    """A rollback is in the parameters of the version that it took out, whatever ledger and tags say now."""
    first = dict(registry.model_tags), dict(registry.versions[1]["tags"])
    known = registry.params["1" * 32] = {numbered_param(ENTRY_PARAM, NAME, 1): registry.model_tags[LEDGER_ENTRY].split()[1]}
    checked(registry, tmp_path)
    registry.promote(2, 2, from_version=1)
    known[numbered_param(ENTRY_PARAM, NAME, number)] = digest or registry.model_tags[LEDGER_ENTRY].split()[1]
    registry.alias, registry.model_tags, registry.versions[1]["tags"] = 1, *first
    assert f"knows an entry {number} of the ledger" in refusal(registry, tmp_path)


def test_a_move_during_the_reading_is_no_reason_to_say_that_the_ledger_was_put_back(
    registry: RegistryDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = MlflowRest.run

    def moved(mlflow: MlflowRest, run_id: str) -> Any:
        registry.promote(2, 2, from_version=1)
        registry.params[run_id] = {numbered_param(ENTRY_PARAM, NAME, 2): registry.model_tags[LEDGER_ENTRY].split()[1]}
        return asked(mlflow, run_id)

    monkeypatch.setattr(MlflowRest, "run", moved)
    with pytest.raises(NotReachedError, match="moved while it was read"):
        checked(registry, tmp_path)


def test_moves_before_the_last_one_and_those_of_another_registered_model_are_no_reason(registry: RegistryDouble, tmp_path: Path) -> None:
    registry.promote(1, 4)
    registry.params["1" * 32] = {
        numbered_param(ENTRY_PARAM, NAME, 1): "sha256:1",
        numbered_param(ENTRY_PARAM, NAME, 4): registry.model_tags[LEDGER_ENTRY].split()[1],
        numbered_param(ENTRY_PARAM, "another", 9): "sha256:9",
    }
    checked(registry, tmp_path)


def test_the_line_must_be_the_one_that_the_tags_name(registry: RegistryDouble, tmp_path: Path) -> None:
    registry.artifacts["1" * 32, ledger_artifact(1)] += b" "
    assert "is not the one that MLflow's tags name" in refusal(registry, tmp_path)


@pytest.mark.parametrize("changed", [{"to_version": 2}, {"run_id": "x"}, {"artifact_digest": "sha256:0"}, {"registered_model": "other"}])
def test_the_entry_must_be_about_this_version_with_these_files(registry: RegistryDouble, tmp_path: Path, changed: dict[str, Any]) -> None:
    registry.promote(1, 2, **changed)
    assert "is not about test version 1 with these files" in refusal(registry, tmp_path)


@pytest.mark.parametrize("what", ["candidate", "candidate-ended"])
def test_an_entry_about_a_candidate_puts_nothing_into_production(registry: RegistryDouble, tmp_path: Path, what: str) -> None:
    registry.promote(1, 2, what=what)
    assert f"entry 2 of the ledger is a '{what}'" in refusal(registry, tmp_path)


def test_a_line_that_is_no_entry_is_refused(registry: RegistryDouble, tmp_path: Path) -> None:
    registry.artifacts["1" * 32, ledger_artifact(1)] = b"{}"
    registry.versions[1]["tags"][LEDGER_ENTRY] = registry.model_tags[LEDGER_ENTRY] = f"1 {digest_of(b'{}')}"
    assert "cannot be read" in refusal(registry, tmp_path)


def test_where_signatures_are_required_an_entry_without_one_is_refused(registry: RegistryDouble, tmp_path: Path) -> None:
    assert "no key is set to verify them" in refusal(registry, tmp_path, verify="required")


def test_an_entry_that_is_not_there_yet_is_asked_for_again(registry: RegistryDouble, tmp_path: Path) -> None:
    del registry.artifacts["1" * 32, ledger_artifact(1)]
    with pytest.raises(NotReachedError) as missing:
        checked(registry, tmp_path)
    assert (missing.value.code, missing.value.hint) == ("ledger", "passerelle promote --version 1")
