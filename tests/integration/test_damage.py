"""What was damaged in S3 is refused by a message that names it: a manifest that is no longer JSON, a ledger that somebody wrote in."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from passerelle.cli.main import passerelle
from passerelle.criteria import Criteria
from passerelle.errors import IntegrityError
from passerelle.registry.client import Registry
from passerelle.registry.failures import parsed
from passerelle.registry.ledger import Ledger
from passerelle.settings import SigningSettings, StoreSettings
from passerelle.stages.import_model import import_model
from passerelle.stages.promote import PromotionRequest, promote
from tests.few_packages import few_packages
from tests.platform_fixtures import HERE, RegisteredForTests

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def registry(registered: RegisteredForTests) -> Registry:
    """A registered model with a version in production."""
    fresh = registered.fresh()
    promote(fresh, ref=registered.register(fresh), criteria=Criteria(), request=PromotionRequest(who="test@here", serving=HERE))
    return fresh


@pytest.fixture
def flipped_quote(registry: Registry) -> Iterator[Registry]:
    """The same, with the manifest's first quote flipped."""
    ref = registry.resolve(registry.settings.registered_model, "production")
    key = next(key for key in registry.objects.keys("mlflow/") if key.endswith(f"{ref.run_id}/artifacts/passerelle/manifest.json"))
    content, _ = registry.objects.read(key)
    registry.objects.delete(key)
    registry.objects.create(key, content.replace(b'"', b"#", 1))
    yield registry
    registry.objects.delete(key)
    registry.objects.create(key, content)


def test_a_flipped_quote_of_the_manifest_is_refused_at_import_and_at_promote(flipped_quote: Registry, tmp_path: Path) -> None:
    ref = flipped_quote.resolve(flipped_quote.settings.registered_model, "production")
    named = rf"manifest\.json of the run {ref.run_id} is no longer JSON"
    with pytest.raises(IntegrityError, match=named) as refused:
        import_model(flipped_quote, StoreSettings.read(bentoml_home=tmp_path / "bentoml"))
    assert "passerelle rollback" in (refused.value.hint or "")
    required = PromotionRequest(who="test@here", serving=HERE, signing=SigningSettings.read(verify="required"))
    with pytest.raises(IntegrityError, match=named):
        promote(flipped_quote, ref=ref, criteria=Criteria(), request=required)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"7", b'"text"', b'{"a": "\xff"}'])
def test_what_is_no_object_is_refused(content: bytes) -> None:
    with pytest.raises(IntegrityError, match="it is no longer JSON"):
        parsed(content, of="it")


def test_history_ends_with_one_when_it_finds_something(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = registry.settings.registered_model
    monkeypatch.setenv("PASSERELLE_STATE_DIR", str(tmp_path / "state"))
    command = ["history", "--verify", "--model", name]
    passerelle.main(command, standalone_mode=False)
    assert "verified: 1 entry," in capsys.readouterr().out
    key = Ledger(registry.objects, name).key(1)
    content, tag = registry.objects.read(key)
    registry.objects.replace(key, content.replace(b"test@here", b"marie@bureau"), entity_tag=tag)
    with pytest.raises(IntegrityError, match="not as passerelle wrote it"):
        passerelle.main(command, standalone_mode=False)
    assert "entry 1: " in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        passerelle.main([*command, "--json"], standalone_mode=False)
    assert ended.value.code == 1
    assert json.loads(capsys.readouterr().out)["findings"]


def test_history_verifies_with_what_the_prober_has_alone(registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also a ledger whose only entry says nothing, and that of a model whose first promotion was refused."""
    monkeypatch.setenv("PASSERELLE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONPATH", few_packages(tmp_path / "few", ROOT / "deploy/mlflow/requirements.txt"))
    name = registry.settings.registered_model

    def verified(name: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "passerelle", "history", "--verify", "--json", "--model", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.stdout.startswith("{"), done.stderr
        return dict(json.loads(done.stdout))

    assert verified(name)["findings"] == []
    key = Ledger(registry.objects, name).key(1)
    registry.objects.replace(key, b"{}", entity_tag=registry.objects.read(key)[1])
    assert verified(name)["findings"]
    assert verified(f"{name}-refused")["error"]["code"] == "not_found"
    registry.objects.create(f"{Ledger(registry.objects, f'{name}-refused').looks_folder}a/000001.json", b"{}")
    assert verified(f"{name}-refused")["entries"] == []
