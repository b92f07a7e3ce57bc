"""A model is loaded only when it is whole, and never runs code of its own."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import cloudpickle  # type: ignore[import-untyped]
import numpy
import pytest
import skops.io
import yaml
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from passerelle.errors import IntegrityError, UntrustedTypeError, UsageError
from passerelle.model.classifier import load_pipeline
from passerelle.model.flavors.sklearn import Sklearn
from passerelle.model.loaded import load_model
from passerelle.model.manifest import digest_of_manifest, manifest_of
from passerelle.model.mlmodel import describe
from passerelle.model.trust import refuse_bombs, trusted
from passerelle.monitoring.prediction_log.digest import canonical
from passerelle.names import MODEL_FOLDER
from tests.unit.serving.models import text_bento_model, text_pipeline


@pytest.fixture
def bento_model(tmp_path: Path) -> Path:
    return text_bento_model(tmp_path / "model")


def test_a_model_knows_its_golden_inputs(bento_model: Path) -> None:
    model = load_model(bento_model)
    assert {canonical(record) for record in model.golden.inputs} == model.golden_inputs
    assert canonical({**model.golden.inputs[0], "text": "none of them"}) not in model.golden_inputs


def test_a_whole_model_is_loaded_compiled_and_reproduces_its_golden_predictions(bento_model: Path) -> None:
    model = load_model(bento_model)
    assert model.version == "7"
    assert model.scorer is not None
    assert model.golden_difference < 1e-9
    assert [model.classes[row.label_index] for row in model.rows([{"text": "un grand merci"}])] == ["merci"]


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


def test_a_calibrated_model_is_read_once_and_only_where_scikit_learn_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = CalibratedClassifierCV(LinearSVC(), cv=2).fit([[0.0], [0.1], [1.0], [1.1]], ["a", "a", "b", "b"])
    skops.io.dump(classifier, tmp_path / "model.skops")
    reads, real = [], skops.io._persist.read_schema

    def read_schema(archive: ZipFile) -> object:
        reads.append(archive)
        return real(archive)

    monkeypatch.setattr("skops.io._persist.read_schema", read_schema)
    assert Sklearn().classes(Sklearn().load(tmp_path / "model.skops", pickled=False)) == ("a", "b")
    assert len(reads) == 1
    monkeypatch.setenv("PASSERELLE_TRUSTED_TYPES", "numpy")
    with pytest.raises(UntrustedTypeError, match=r"types that are not trusted: sklearn\.calibration\._CalibratedClassifier"):
        Sklearn().load(tmp_path / "model.skops", pickled=False)


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


def pickled(folder: Path, content: bytes) -> Path:
    """Replace the model by a pickle, as `mlflow.sklearn.log_model(…, serialization_format="cloudpickle")` saves it."""
    (folder / MODEL_FOLDER / "model.pkl").write_bytes(content)
    (folder / MODEL_FOLDER / "model.skops").unlink()
    edited(folder, serialization_format="cloudpickle", pickled_model="model.pkl")
    return folder / MODEL_FOLDER


def test_a_pickle_is_loaded_where_the_operator_trusts_it_and_never_in_production(
    bento_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = pickled(bento_model, cloudpickle.dumps(text_pipeline()))
    with pytest.raises(IntegrityError, match="runs code") as refused:
        describe(folder)
    assert "PASSERELLE_TRUST_PICKLE" in (refused.value.hint or "")
    monkeypatch.setenv("PASSERELLE_TRUST_PICKLE", "true")
    description = describe(folder)
    assert description.pickled
    assert list(load_pipeline(folder, description).classes_) == ["délai", "merci", "voirie"]
    monkeypatch.setenv("PASSERELLE_ENVIRONMENT", "production")
    for refused_call in (lambda: describe(folder), lambda: load_pipeline(folder, description)):
        with pytest.raises(IntegrityError, match="not trusted in production"):
            refused_call()


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps({"a": 1})[:-3], pickle.dumps(7)])
def test_what_is_no_pickle_of_a_classifier_is_refused(bento_model: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setenv("PASSERELLE_TRUST_PICKLE", "true")
    folder = pickled(bento_model, content)
    with pytest.raises((IntegrityError, UsageError)):
        load_pipeline(folder, describe(folder))


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


@pytest.mark.parametrize("function", [numpy.load, numpy.testing.rundocs, numpy.vectorize(len)], ids=["load", "rundocs", "vectorize"])
def test_a_function_of_a_trusted_package_is_refused_too(bento_model: Path, function: Callable[..., object]) -> None:
    bad = Pipeline([("acts", FunctionTransformer(function)), ("rest", text_pipeline())])
    skops.io.dump(bad, bento_model / MODEL_FOLDER / "model.skops")
    with pytest.raises(IntegrityError, match=r"not trusted: .*numpy\."):
        load_pipeline(bento_model / MODEL_FOLDER, describe(bento_model / MODEL_FOLDER))


def test_the_allow_list_is_the_operators(bento_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = Pipeline([("shout", FunctionTransformer(os.path.basename)), ("rest", text_pipeline())])
    skops.io.dump(bad, bento_model / MODEL_FOLDER / "model.skops")
    folder = bento_model / MODEL_FOLDER
    with pytest.raises(IntegrityError, match=r"posixpath\.basename") as refused:
        load_pipeline(folder, describe(folder))
    assert "export PASSERELLE_TRUSTED_TYPES=sklearn,numpy,scipy,posixpath.basename" in (refused.value.hint or "")
    monkeypatch.setenv("PASSERELLE_TRUSTED_TYPES", "sklearn, numpy, scipy, posixpath.basename")
    assert hasattr(load_pipeline(folder, describe(folder)), "predict")


@pytest.mark.parametrize(
    ("name", "operators", "is_trusted"),
    [
        ("sklearn.tree._tree.Tree", "sklearn", True),
        ("sklearn.calibration._CalibratedClassifier", "sklearn", True),
        ("sklearn.metrics._classification.f1_score", "sklearn", True),
        ("sklearn.feature_selection._univariate_selection.f_classif", "sklearn", True),
        ("sklearn.datasets._base.load_files", "sklearn", False),
        ("sklearnx.Tree", "sklearn", False),
        ("numpy.testing._private.utils.runstring", "numpy", False),
        ("numpy.f2py.crackfortran.Parser", "numpy", False),
        ("scipy.io.MatlabFile", "scipy", False),
        ("ours.text.Tokenizer", "sklearn,numpy,scipy", False),
        ("ours.text.Tokenizer", "sklearn,ours.text", True),
        ("ours.text.lower", "sklearn,ours", False),
        ("ours.text.lower", "sklearn,ours.text.lower", True),
        ("sklearn.tree._tree.Tree", "", False),
        ("builtins.list", "", True),
        ("numpy.dtype", "sklearn,numpy,scipy", True),
        ("numpy.dtype", "sklearn", False),
        ("numpy.load", "numpy", False),
    ],
)
def test_classes_of_packages_and_named_functions_are_trusted(name: str, operators: str, is_trusted: bool) -> None:
    assert trusted(name, operators) is is_trusted


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passerelle.model.trust._LARGEST_UNPACKED_BYTES", 1 << 20)
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
    with pytest.raises(UsageError, match="only scikit-learn classifiers can be served"):
        describe(bento_model / MODEL_FOLDER)


def test_the_hint_names_every_type_that_is_not_trusted(bento_model: Path) -> None:
    steps = [("one", FunctionTransformer(json.dumps)), ("two", FunctionTransformer(os.path.basename)), ("last", text_pipeline())]
    skops.io.dump(Pipeline(steps), bento_model / MODEL_FOLDER / "model.skops")
    with pytest.raises(IntegrityError, match=r"json\.dumps, posixpath\.basename") as refused:
        load_pipeline(bento_model / MODEL_FOLDER, describe(bento_model / MODEL_FOLDER))
    assert refused.value.hint == "export PASSERELLE_TRUSTED_TYPES=sklearn,numpy,scipy,json.dumps,posixpath.basename"
