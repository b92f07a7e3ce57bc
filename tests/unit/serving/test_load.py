"""A model is loaded only when it is whole, and never runs code of its own."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import skops.io
import yaml
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from passerelle.errors import IntegrityError, UsageError
from passerelle.serving.load import MODEL_FOLDER, describe, load_pipeline, refuse_bombs
from passerelle.serving.manifest import digest_of_manifest, manifest_of
from passerelle.serving.model import load_model
from tests.unit.serving.models import text_pipeline, text_table, write_bento_model


@pytest.fixture
def bento_model(tmp_path: Path) -> Path:
    return write_bento_model(tmp_path / "model", text_pipeline(), text_table()[0])


def test_a_whole_model_is_loaded_compiled_and_reproduces_its_golden_predictions(bento_model: Path) -> None:
    model = load_model(bento_model)
    assert model.version == "7"
    assert model.scorer is not None
    assert model.golden_difference < 1e-9
    assert [model.classes[row.label_index] for row in model.rows([{"text": "un grand merci"}])] == ["merci"]


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_one_flipped_byte_in_any_file_is_noticed(bento_model: Path) -> None:
    names = [f"{MODEL_FOLDER}/{name}" for name in files(bento_model / MODEL_FOLDER)]
    assert len(names) >= 5
    for name in [*names, "golden.json"]:
        path = bento_model / name
        whole = path.read_bytes()
        path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
        with pytest.raises(IntegrityError):
            load_model(bento_model)
        path.write_bytes(whole)
    load_model(bento_model)


def test_a_file_that_is_missing_or_was_added_is_noticed(bento_model: Path) -> None:
    (bento_model / MODEL_FOLDER / "extra.py").write_text("print('hello')")
    with pytest.raises(IntegrityError, match=r"extra\.py"):
        load_model(bento_model)
    (bento_model / MODEL_FOLDER / "extra.py").unlink()
    (bento_model / MODEL_FOLDER / "requirements.txt").unlink()
    with pytest.raises(IntegrityError, match=r"requirements\.txt is missing"):
        load_model(bento_model)


def test_a_golden_prediction_that_differs_is_refused(bento_model: Path) -> None:
    golden = json.loads((bento_model / "golden.json").read_text())
    golden["probabilities"][3][0] += 0.01
    (bento_model / "golden.json").write_text(json.dumps(golden))
    manifest = manifest_of(bento_model / MODEL_FOLDER, bento_model / "golden.json")
    (bento_model / "manifest.json").write_text(json.dumps(manifest))
    lineage = json.loads((bento_model / "lineage.json").read_text())
    (bento_model / "lineage.json").write_text(json.dumps(lineage | {"artifact_digest": digest_of_manifest(manifest)}))
    with pytest.raises(IntegrityError, match=r"golden prediction 3 differs by 0\.01"):
        load_model(bento_model)


def edited(folder: Path, **changes: object) -> None:
    path = folder / MODEL_FOLDER / "MLmodel"
    content = yaml.safe_load(path.read_text())
    content["flavors"]["sklearn"].update(changes)
    path.write_text(yaml.safe_dump(content))


def test_a_pickle_is_refused_before_it_is_opened(bento_model: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str, ...]]:
            return os.system, (f"touch {tmp_path}/exploded",)

    (bento_model / MODEL_FOLDER / "model.pkl").write_bytes(pickle.dumps(Bomb()))
    edited(bento_model, serialization_format="cloudpickle", pickled_model="model.pkl")
    with pytest.raises(IntegrityError, match="runs code"):
        describe(bento_model / MODEL_FOLDER)
    edited(bento_model, serialization_format="skops")
    with pytest.raises(IntegrityError):
        load_pipeline(bento_model / MODEL_FOLDER, describe(bento_model / MODEL_FOLDER))
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("name", ["../golden.json", "/etc/passwd", "", "nothing.skops"])
def test_a_model_file_outside_of_the_folder_is_refused(bento_model: Path, name: str) -> None:
    edited(bento_model, pickled_model=name)
    with pytest.raises(IntegrityError, match="not a file of the model"):
        describe(bento_model / MODEL_FOLDER)


def test_a_link_is_refused(bento_model: Path) -> None:
    (bento_model / MODEL_FOLDER / "link").symlink_to("/etc/passwd")
    with pytest.raises(IntegrityError, match="link"):
        describe(bento_model / MODEL_FOLDER)


def test_a_foreign_type_is_refused_by_name(bento_model: Path) -> None:
    bad = Pipeline([("shell", FunctionTransformer(os.system)), ("rest", text_pipeline())])
    skops.io.dump(bad, bento_model / MODEL_FOLDER / "model.skops")
    with pytest.raises(IntegrityError, match=r"posix\.system|nt\.system"):
        load_pipeline(bento_model / MODEL_FOLDER, describe(bento_model / MODEL_FOLDER))


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passerelle.serving.load._LARGEST_UNPACKED_BYTES", 1 << 20)
    path = tmp_path / "bomb.skops"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(2 << 20))
    assert path.stat().st_size < 10_000
    with pytest.raises(IntegrityError, match="unpacks to 2 MiB"):
        refuse_bombs(path)


@pytest.mark.parametrize("flavors", [{"python_function": {}}, {"keras": {}}])
def test_another_flavor_is_refused(bento_model: Path, flavors: dict[str, object]) -> None:
    path = bento_model / MODEL_FOLDER / "MLmodel"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"flavors": flavors}))
    with pytest.raises(UsageError, match="only scikit-learn classifiers"):
        describe(bento_model / MODEL_FOLDER)
