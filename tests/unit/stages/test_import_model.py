"""What import does about the environment of an adopted model that is in the store already."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from passerelle.bentos.store import Store
from passerelle.errors import IntegrityError
from passerelle.model.adoption import ADOPTION_FILE, LOCK_FILE, Adoption
from passerelle.model.manifest import digest_of_manifest, manifest_of
from passerelle.names import GOLDEN, MANIFEST_FILE, MODEL_FOLDER, BentoTag, ModelVersionRef
from passerelle.settings import StoreSettings
from passerelle.stages import import_model as stage


@pytest.fixture
def there(tmp_path: Path) -> stage.ImportedModel:
    """An adopted model in the store."""
    (tmp_path / MODEL_FOLDER).mkdir()
    (tmp_path / MODEL_FOLDER / "MLmodel").write_text("flavors: {}")
    signature = {"inputs": json.dumps([{"name": "text", "type": "string"}])}
    (tmp_path / ADOPTION_FILE).write_text(
        Adoption("models:/m-1", "", "sklearn", "classification", signature, "signature", "3.11").canonical()
    )
    (tmp_path / LOCK_FILE).write_text("numpy==2.3.4\n")
    (tmp_path / GOLDEN).write_text("{}")
    manifest = manifest_of(tmp_path / MODEL_FOLDER, tmp_path / GOLDEN)
    (tmp_path / MANIFEST_FILE).write_text(json.dumps(manifest))
    ref = ModelVersionRef("comments", 1, "0" * 32)
    return stage.ImportedModel(
        ref, BentoTag("comments", "1-00000000"), tmp_path, created=False, artifact_digest=digest_of_manifest(manifest)
    )


def test_an_environment_that_is_gone_is_made_again(there: stage.ImportedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[object, ...]] = []
    monkeypatch.setattr(stage, "ensure", lambda lock, python, _: made.append((lock, python)))
    stage._complete(there, b"", None)
    assert there.path is not None
    assert made == [(there.path / LOCK_FILE, "3.11")]
    (there.path / LOCK_FILE).write_text("other==1.0\n")
    with pytest.raises(IntegrityError):
        stage._complete(there, b"", None)
    assert len(made) == 1


def test_a_hint_to_adopt_a_version_names_it(there: stage.ImportedModel, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError) as refused, stage._naming(there.ref, Store(StoreSettings(bentoml_home=tmp_path))):
        raise IntegrityError("a module is missing", hint="passerelle adopt models:/NAME/VERSION --override 'PACKAGE==VERSION'")
    assert refused.value.hint == "passerelle adopt models:/comments/1 --override 'PACKAGE==VERSION'"
