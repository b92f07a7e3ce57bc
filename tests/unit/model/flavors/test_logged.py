"""Which flavor of a logged model is read is decided by its MLmodel file, and whether reading runs code too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from passerelle.errors import IntegrityError, UsageError
from passerelle.model.flavors.logged import logged_flavor


def write(folder: Path, *files: str, **flavors: dict[str, Any]) -> Path:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("content")
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": flavors}))
    return folder


def function(module: str, **others: object) -> dict[str, object]:
    return {"loader_module": module, "python_version": "3.10.4", **others}


SKOPS = {"pickled_model": "model.skops", "serialization_format": "skops", "sklearn_version": "1.9.1"}
PICKLE = {"pickled_model": "model.pkl", "serialization_format": "cloudpickle", "sklearn_version": "1.2.0"}


@pytest.mark.parametrize(
    ("flavors", "name", "pickled"),
    [
        ({"sklearn": SKOPS, "python_function": function("mlflow.sklearn")}, "sklearn", False),
        ({"sklearn": PICKLE, "python_function": function("mlflow.sklearn", predict_fn="predict_proba")}, "sklearn", True),
        ({"sklearn": SKOPS, "python_function": function("mlflow.sklearn", code="code")}, "sklearn", True),
        (
            {"sklearn": PICKLE, "python_function": function("mlflow.sklearn", predict_fn="predict_log_proba", model_path="model.pkl")},
            "python_function",
            True,
        ),
        ({"sklearn": SKOPS, "python_function": function("my.own.module", data="model.skops")}, "python_function", True),
        ({"lightgbm": {"data": "model.lgb"}, "python_function": function("mlflow.lightgbm")}, "lightgbm", False),
        (
            {
                "lightgbm": {"data": "model.pkl", "model_class": "lightgbm.sklearn.LGBMClassifier"},
                "python_function": function("mlflow.lightgbm"),
            },
            "lightgbm",
            True,
        ),
        ({"xgboost": {"data": "model.ubj"}, "python_function": function("mlflow.xgboost")}, "xgboost", False),
        ({"catboost": {"data": "model.cb"}, "python_function": function("mlflow.catboost")}, "catboost", False),
        ({"onnx": {"data": "model.onnx"}, "python_function": function("mlflow.onnx")}, "onnx", False),
        ({"python_function": function("mlflow.pyfunc.model", python_model="python_model.pkl")}, "python_function", True),
        ({"keras": {"data": "data"}, "python_function": function("mlflow.keras", data="data")}, "python_function", True),
    ],
)
def test_the_flavor_that_answers_as_pyfunc_is_taken(tmp_path: Path, flavors: dict[str, Any], name: str, pickled: bool) -> None:
    names = ("model.skops", "model.pkl", "model.lgb", "model.ubj", "model.cb", "model.onnx", "python_model.pkl", "data/weights")
    found = logged_flavor(write(tmp_path, *names, **flavors))
    assert (found.name, found.pickled, found.python) == (name, pickled, "3.10.4")
    assert len(found.files) == 1


def test_libraries_are_named(tmp_path: Path) -> None:
    assert logged_flavor(write(tmp_path, "model.skops", sklearn=SKOPS)).libraries == {"scikit-learn": "1.9.1"}


def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="flavors are keras, spark"):
        logged_flavor(write(tmp_path, keras={}, spark={}))
    with pytest.raises(IntegrityError, match="which is not a file of the model"):
        logged_flavor(write(tmp_path, sklearn={**PICKLE, "pickled_model": str(tmp_path.parent / "model.pkl")}))
    (tmp_path / "MLmodel").write_text("flavors: [")
    with pytest.raises(IntegrityError, match="no readable MLmodel"):
        logged_flavor(tmp_path)


def transformers(**others: object) -> dict[str, object]:
    return {"task": "text-classification", "model_binary": "model", "components": ["tokenizer"], "transformers_version": "4.44.2", **others}


@pytest.mark.parametrize(
    ("entry", "config", "name"),
    [
        (transformers(), None, "transformers"),
        (transformers(), {"truncation": True, "max_length": 512}, "transformers"),
        # Answers that only pyfunc gives.
        (transformers(), {"top_k": 2}, "python_function"),
        (transformers(task="fill-mask"), None, "python_function"),
        # Its weights lie in a hub.
        (transformers(model_binary=None), None, "python_function"),
    ],
)
def test_a_text_classifier_that_lies_in_its_files_is_read_as_one(tmp_path: Path, entry: dict[str, Any], config: Any, name: str) -> None:
    folder = write(tmp_path, "model/model.safetensors", "components/tokenizer/tokenizer.json", transformers=entry,
                   python_function=function("mlflow.transformers", config=config))  # fmt: skip
    flavor = logged_flavor(folder)
    assert (flavor.name, flavor.pickled, flavor.libraries) == (name, False, {"transformers": "4.44.2"})
    (folder / "model" / "pytorch_model.bin").write_text("a pickle")
    assert logged_flavor(folder).pickled


@pytest.mark.parametrize(("components", "files"), [([], ["components/tokenizer/vocab.txt"]), (["tokenizer"], []), (None, [])])
def test_a_text_classifier_without_its_tokenizer_is_refused(tmp_path: Path, components: Any, files: list[str]) -> None:
    entry = transformers(components=components)
    folder = write(tmp_path, "model/model.safetensors", *files, transformers=entry, python_function=function("mlflow.transformers"))
    with pytest.raises(UsageError, match="logged without its tokenizer") as refused:
        logged_flavor(folder)
    assert refused.value.hint == "passerelle adopt runs:/RUN_ID"


def test_an_encoder_of_texts_has_a_reader_of_its_own(tmp_path: Path) -> None:
    entry = {"sentence_transformers_version": "3.2.1"}
    of_pyfunc = function("mlflow.sentence_transformers", data="model.st")
    folder = write(tmp_path, "model.st/model.safetensors", sentence_transformers=entry, python_function=of_pyfunc)
    assert (logged_flavor(folder).name, logged_flavor(folder).files, logged_flavor(folder).pickled) == (
        "sentence_transformers",
        ("model.st",),
        False,
    )
