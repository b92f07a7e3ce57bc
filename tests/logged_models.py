"""Models as people log them, really logged: flavor × signature × labels × where they lie."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import mlflow
import numpy as np
import pandas as pd
from mlflow.models.signature import ModelSignature, infer_signature
from mlflow.pyfunc import PythonModel  # type: ignore[attr-defined]
from mlflow.types.schema import ColSpec, Schema
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline, make_pipeline

TEXTS = ["aucune réponse", "merci beaucoup", "toujours rien", "très bien, merci"] * 5
TWO = [0, 1, 0, 1] * 5
NUMBERS = pd.DataFrame({"age": np.arange(20, dtype="int64"), "share": np.linspace(0.0, 1.0, 20)})
#: Given, so that MLflow starts no process to find them out.
REQUIREMENTS = ["mlflow", "scikit-learn"]


class Steps(PythonModel):
    """A classifier in a class of its own."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> list[str]:  # noqa: ARG002 - MLflow's
        """Return a label a row."""
        return ["high" if share > 0.5 else "low" for share in model_input["share"]]


class Dice(PythonModel):
    """Answers otherwise on each call."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> list[float]:  # noqa: ARG002 - MLflow's
        """Return a random number a row."""
        return [float(number) for number in np.random.default_rng().random(len(model_input))]


@dataclass(frozen=True)
class Row:
    """One way to log, and what comes of it.

    Attributes:
        log: Logs the model in the current run.
        saved: Or the name of a model that another environment saved.
        options: Of `adopt`; a file is given by its content.
        task: What the model is taken to do; empty where it is refused.
        form: How it takes its records.
        origin: Of the golden predictions' inputs.
        refused: What the message says where it is refused.
        place: Where the model lies, as `tests.logged_places` names it.
        mended: Options with which it is adopted where it is refused; None where it must be logged again.
    """

    log: Callable[[], Any] = lambda: None
    options: Mapping[str, Any] = field(default_factory=dict)
    task: str = "classification"
    form: str = "table"
    origin: str = "signature"
    refused: str = ""
    place: str = "a version"
    mended: Mapping[str, Any] | None = None
    saved: str = ""


def sklearn(model: Any, **options: Any) -> Any:
    return mlflow.sklearn.log_model(model, name="model", pip_requirements=REQUIREMENTS, serialization_format="cloudpickle", **options)


def texts() -> Pipeline:
    return make_pipeline(TfidfVectorizer(), LogisticRegression())


def named_text() -> Pipeline:
    words = ColumnTransformer([("words", TfidfVectorizer(), "text")])
    return make_pipeline(words, LogisticRegression()).fit(pd.DataFrame({"text": TEXTS}), ["bad", "good"] * 10)


def of_numbers(model: Any, targets: Any, example: pd.DataFrame = NUMBERS) -> Any:
    fitted = model.fit(NUMBERS, targets)
    return sklearn(fitted, signature=infer_signature(NUMBERS, fitted.predict(NUMBERS)), input_example=example.head(3))


def autologged() -> None:
    mlflow.sklearn.autolog(log_input_examples=True, silent=True)
    try:
        texts().fit(TEXTS, TWO)
    finally:
        mlflow.sklearn.autolog(disable=True)


def skops() -> None:
    mlflow.sklearn.log_model(
        named_text(),
        name="model",
        pip_requirements=REQUIREMENTS,
        serialization_format="skops",
        input_example=pd.DataFrame({"text": TEXTS[:3]}),
    )


def function(model: Any) -> Any:
    # As of a class in a notebook: it is in the pickle, and not in a module that another machine lacks.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    return mlflow.pyfunc.log_model(
        name="model", python_model=model, pip_requirements=["mlflow"], signature=infer_signature(NUMBERS, ["low"])
    )


INPUTS = json.dumps({"inputs": [{"name": "age", "type": "long"}, {"name": "share", "type": "double"}]})
UNNAMED = ModelSignature(inputs=Schema([ColSpec("string")]))
BOTH = NUMBERS.assign(target=TWO)
ROWS: Mapping[str, Row] = {
    "autolog, texts as a list": Row(autologged, {"text_column": "text"}, form="list", origin="input_example"),
    "autolog, without the name of the text": Row(
        autologged, refused="does not say which columns a record has", mended={"text_column": "text"}
    ),
    "skops, named text": Row(skops, origin="input_example"),
    "pickle, a Series, without signature": Row(
        lambda: sklearn(texts().fit(pd.Series(TEXTS), ["bad", "good"] * 10)), {"text_column": "comment"}, form="list"
    ),
    "pickle, texts, an unnamed column": Row(
        lambda: sklearn(texts().fit(TEXTS, TWO), signature=UNNAMED), {"text_column": "text"}, form="list"
    ),
    "pickle, numbers, names of labels": Row(
        lambda: of_numbers(LogisticRegression(), TWO), {"labels": '{"0": "refused", "1": "accepted"}'}, origin="input_example"
    ),
    "pickle, numbers, a name too few": Row(
        lambda: of_numbers(LogisticRegression(), TWO), {"labels": '["refused"]'},
        refused="--labels has no name for the label 1", mended={"labels": '["refused", "accepted"]'},
    ),
    "pickle, an array, without signature": Row(
        lambda: sklearn(LogisticRegression().fit(NUMBERS.to_numpy(), TWO)), {"signature": INPUTS}
    ),
    "pickle, an array with a tensor's signature": Row(
        lambda: sklearn(LogisticRegression().fit(NUMBERS.to_numpy(), TWO), signature=infer_signature(NUMBERS.to_numpy())),
        refused="its signature names no columns", mended={"signature": INPUTS},
    ),
    "pickle, the target in the signature": Row(
        lambda: sklearn(LogisticRegression().fit(NUMBERS, TWO), signature=infer_signature(BOTH)), {"drop_columns": ("target",)}
    ),
    "regression": Row(lambda: of_numbers(LinearRegression(), np.linspace(0, 9, 20)), task="regression", origin="input_example"),
    "multi-output regression": Row(
        lambda: of_numbers(MultiOutputRegressor(LinearRegression()), np.ones((20, 2))), task="multioutput", origin="input_example"
    ),
    "multi-label": Row(
        lambda: of_numbers(OneVsRestClassifier(LogisticRegression()), np.array([[1, 0], [0, 1]] * 10)),
        task="multilabel", origin="input_example",
    ),
    "clustering": Row(lambda: of_numbers(KMeans(2, n_init=1, random_state=0), None), task="clustering", origin="input_example"),
    "pyfunc, a class": Row(lambda: function(Steps()), task="other"),
    "pyfunc, a class with the names of labels": Row(lambda: function(Steps()), {"labels": '{"low": "bas", "high": "haut"}'}),
    "pyfunc, otherwise on each call": Row(lambda: function(Dice()), refused="answers otherwise on each call"),
    "examples that lack a column": Row(
        lambda: of_numbers(LogisticRegression(), TWO), {"examples": "age\n3\n"}, refused="lacks the column 'share'", mended={},
    ),
    "examples": Row(lambda: of_numbers(LogisticRegression(), TWO), {"examples": "age,share,label\n3,0.5,1\n4,0.1,0\n"}, origin="examples"),
}  # fmt: skip


def files_for(options: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the options with files in place of contents."""
    endings = {"signature": "json", "labels": "json", "examples": "csv"}
    found = dict(options)
    for name, ending in endings.items():
        if name in found:
            path = folder / f"{name}.{ending}"
            path.write_text(found[name], encoding="utf-8")
            found[name] = path
    return found
