"""With a key, entries are signed: who forges S3 and MLflow both is found too."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from passerelle.errors import IntegrityError, RefusedError, SettingsError
from passerelle.model.ledger_entry import Entry
from passerelle.names import LEDGER_ENTRY
from passerelle.registry.ledger import Ledger, LedgerHead
from passerelle.registry.objects import Objects
from passerelle.registry.verified import history
from passerelle.settings import SigningSettings
from passerelle.stages.rollback import rollback
from passerelle.stages.status import gather
from tests.signing_fixtures import Keys, authority, pem, signer
from tests.unit.registry.ledger_forgeries import entry_of, found, put
from tests.unit.registry.memory import NAME, Bucket, Mlflow, real


@pytest.fixture
def mlflow() -> Mlflow:
    return Mlflow(Bucket())


@pytest.fixture
def signs(ours: Keys) -> SigningSettings:
    return SigningSettings.read(signing_key=ours.private, verify_key=ours.public)


def problems(mlflow: Mlflow, signing: SigningSettings) -> list[tuple[int, str]]:
    return [(finding.number, finding.problem) for finding in history(real(mlflow), NAME, signing).findings]


def forged_everywhere(mlflow: Mlflow, entry: Entry) -> None:
    """Append an entry as passerelle does, in S3 and in MLflow."""
    last = found(mlflow).entries[-1]
    chained = replace(entry, number=last.number + 1, before=last.digest)
    ledger = Ledger(cast("Objects", mlflow.objects), NAME)
    mlflow.objects.held[ledger.key(chained.number)] = chained.line()
    mlflow.objects.held[ledger.head_key] = LedgerHead(chained.number, chained.digest, chained.line().decode()).content()
    mlflow.held_model_tags[LEDGER_ENTRY] = f"{chained.number} {chained.digest}"
    assert found(mlflow).findings == (), "without a key nobody can tell"


def test_each_entry_carries_a_signature_of_its_content(mlflow: Mlflow, signs: SigningSettings) -> None:
    put(mlflow, 1, signs)
    put(mlflow, 2, signs)
    assert all(entry.signature for entry in found(mlflow).entries)
    assert history(real(mlflow), NAME, signs).signed_from == 1
    assert problems(mlflow, signs) == []
    put(mlflow, 1, signs)


@pytest.mark.parametrize("signature", [None, "former", "{}", "by another key"])
def test_an_entry_by_somebody_without_the_key_is_a_break(
    mlflow: Mlflow, signs: SigningSettings, theirs: Keys, signature: str | None
) -> None:
    put(mlflow, 1, signs)
    put(mlflow, 2, signs)
    entry = entry_of(3)
    if signature == "by another key":
        other = Mlflow(Bucket())
        entry = put(other, 3, SigningSettings.read(signing_key=theirs.private)).entry or entry
    elif signature is not None:
        entry = replace(entry, signature=found(mlflow).entries[-1].signature if signature == "former" else signature)
    forged_everywhere(mlflow, entry)
    assert [number for number, _ in problems(mlflow, signs)] == [3]
    left = dict(mlflow.objects.held)
    with pytest.raises(IntegrityError, match="is broken at entry 3: it"):
        put(mlflow, 1, signs)
    with pytest.raises(IntegrityError, match="is broken at entry 3: it"):
        rollback(real(mlflow), who="paul@here", version=3, signing=signs)
    status = gather(real(mlflow), bento_model=None, bento=None, service=None, service_address=None, signing=signs)
    assert [each.command for each in status.disagreements] == ["passerelle history --verify"]
    assert mlflow.objects.held == left


def test_what_was_written_before_there_was_a_key_is_covered_by_the_first_signed_entry(mlflow: Mlflow, signs: SigningSettings) -> None:
    put(mlflow, 1)
    put(mlflow, 2)
    assert problems(mlflow, signs) == [], "MLflow vouches for them"
    put(mlflow, 1, signs)
    assert problems(mlflow, signs) == []
    assert history(real(mlflow), NAME, signs).signed_from == 3


def test_an_unsigned_ledger_is_not_enough_where_signatures_are_required_always(mlflow: Mlflow, signs: SigningSettings, ours: Keys) -> None:
    put(mlflow, 1)
    always = SigningSettings.read(signing_key=ours.private, verify="required")
    assert [number for number, _ in problems(mlflow, always)] == [1]
    with pytest.raises(IntegrityError, match="PASSERELLE_VERIFY=required asks for a signature"):
        put(mlflow, 2, always)
    put(mlflow, 2, signs)
    assert problems(mlflow, always) == []


def test_nobody_without_a_key_adds_to_a_signed_ledger(mlflow: Mlflow, signs: SigningSettings, ours: Keys, theirs: Keys) -> None:
    put(mlflow, 1, signs)
    left = dict(mlflow.objects.held)
    for settings in (None, SigningSettings.read(), SigningSettings.read(verify_key=ours.public), SigningSettings.read(verify="off")):
        with pytest.raises(RefusedError, match="no key is set to sign the next one with") as refused:
            put(mlflow, 2, settings)
        assert refused.value.hint == "export PASSERELLE_SIGNING_KEY=key.pem"
    with pytest.raises(SettingsError, match="is not one that PASSERELLE_VERIFY_KEY trusts"):
        put(mlflow, 2, SigningSettings.read(signing_key=theirs.private, verify_key=ours.public))
    with pytest.raises(RefusedError, match="no key is set"):
        put(Mlflow(Bucket()), 1, SigningSettings.read(verify="required", verify_key=ours.public))
    assert mlflow.objects.held == left


def test_a_new_key_takes_over_while_the_former_one_is_still_trusted(
    mlflow: Mlflow, signs: SigningSettings, ours: Keys, theirs: Keys, tmp_path: Path
) -> None:
    put(mlflow, 1, signs)
    ring = tmp_path / "ring"
    ring.mkdir()
    for number, keys in enumerate((ours, theirs)):
        (ring / f"{number}.pem").write_bytes(keys.public.read_bytes())
    put(mlflow, 2, SigningSettings.read(signing_key=theirs.private, verify_key=ring))
    (ring / "0.pem").unlink()
    assert problems(mlflow, SigningSettings.read(verify_key=ring)) == []


def test_a_certificate_signs_entries_too(mlflow: Mlflow, tmp_path: Path) -> None:
    root = authority("root")
    (tmp_path / "root.crt").write_bytes(pem(root.certificate))
    settings = signer(tmp_path, root).model_copy(update={"verify_key": tmp_path / "root.crt"})
    put(mlflow, 1, settings)
    assert problems(mlflow, SigningSettings.read(verify_key=tmp_path / "root.crt")) == []


def test_without_a_key_nothing_slow_is_imported(mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch) -> None:
    for slow in ("model_signing", "cryptography"):
        monkeypatch.setitem(sys.modules, slow, None)
    assert put(mlflow, 1, SigningSettings.read()).changed
    assert problems(mlflow, SigningSettings.read()) == []
