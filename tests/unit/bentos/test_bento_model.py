"""A bento model is written from files that were checked, without the registry."""

from __future__ import annotations

import json
from pathlib import Path

import bentoml.models
import pytest

from passerelle.bentos.bento_model import CheckedModel, write_bento_model
from passerelle.bentos.store import Store
from passerelle.names import MODEL_FOLDER, BentoTag
from passerelle.settings import StoreSettings

TAG = BentoTag("classification", "1-aaaa1111")


@pytest.fixture
def checked(tmp_path: Path) -> CheckedModel:
    folder = tmp_path / "download"
    (folder / "scorer").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "MLmodel").chmod(0o600)
    (folder / "scorer" / "index.json").write_text("{}")
    golden = tmp_path / "golden.json"
    golden.write_text("{}")
    lineage = {"registered_model": "classification", "version": "1", "run_id": "aaaa1111", "libraries": {"numpy": "2"}, "git_commit": ""}
    return CheckedModel(folder, golden, {"files": {}}, "sha256:d", None, lineage)


def test_the_model_is_whole_and_readable_by_others(checked: CheckedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def reported(*_: object) -> None:
        pytest.fail("the model was reported to BentoML's makers")

    monkeypatch.delenv("BENTOML_DO_NOT_TRACK", raising=False)
    monkeypatch.setattr(bentoml.models, "track", reported)
    store = Store(StoreSettings.read(bentoml_home=tmp_path / "bentoml"))
    with store.staging() as staging:
        path = write_bento_model(store, TAG, checked, staging=staging)
    model = store.model(TAG)
    assert model is not None
    assert Path(model.path).resolve() == path.resolve()
    assert model.info.labels == {
        "passerelle.artifact_digest": "sha256:d",
        "passerelle.registered_model": "classification",
        "passerelle.version": "1",
        "passerelle.run_id": "aaaa1111",
    }
    assert model.info.metadata["libraries"] == '{"numpy": "2"}'
    written = {str(each.relative_to(path)) for each in path.rglob("*") if each.is_file()}
    model_files = {f"{MODEL_FOLDER}/MLmodel", f"{MODEL_FOLDER}/scorer/index.json"}
    assert written == {"model.yaml", "golden.json", "lineage.json", "manifest.json", *model_files}
    assert json.loads((path / "lineage.json").read_text()) == checked.lineage
    assert (path / MODEL_FOLDER / "MLmodel").stat().st_mode & 0o777 == 0o644
    assert not (store.home / ".passerelle-staging").exists()
