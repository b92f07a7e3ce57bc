"""More ways to log with scikit-learn and pyfunc, besides those of `tests.logged_models`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import mlflow
import numpy as np
import pandas as pd
from mlflow.models.signature import infer_signature
from mlflow.pyfunc import PythonModel  # type: ignore[attr-defined]
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from tests.logged_models import INPUTS, NUMBERS, REQUIREMENTS, TEXTS, TWO, Row, named_text, of_numbers, sklearn

THREE = ["bad", "good", "other", "bad"] * 5
PLACES_OF_WORK = NUMBERS.assign(borough=["11e", "12e", "13e", "14e"] * 5)
MISSING = NUMBERS.assign(share=[float("nan"), *NUMBERS["share"][1:]])
_EXAMPLES = "age,share\n3,0.5\n4,0.1\n"
#: A model as a file of code, which MLflow runs to read it.
_CODE = """
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class Steps(PythonModel):
    def predict(self, context, model_input, params=None):
        return ["high" if share > 0.5 else "low" for share in model_input["share"]]


set_model(Steps())
"""


def autologged_numbers(**options: Any) -> None:
    mlflow.sklearn.autolog(silent=True, **options)
    try:
        LogisticRegression().fit(NUMBERS, TWO)
    finally:
        mlflow.sklearn.autolog(disable=True)


def autologged_search() -> None:
    mlflow.sklearn.autolog(silent=True, log_input_examples=True, max_tuning_runs=0)
    try:
        GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2).fit(NUMBERS, TWO)
    finally:
        mlflow.sklearn.autolog(disable=True)


def of_table(model: Any, table: pd.DataFrame, labels: Any, **options: Any) -> Any:
    fitted = model.fit(table, labels)
    return sklearn(fitted, signature=infer_signature(table, fitted.predict(table)), **options)


def plain_pickle() -> Any:
    fitted = LogisticRegression().fit(NUMBERS, TWO)
    return mlflow.sklearn.log_model(
        fitted, name="model", pip_requirements=REQUIREMENTS, serialization_format="pickle", signature=infer_signature(NUMBERS, TWO)
    )


def without_pyfunc() -> Any:
    """Log without the way in that MLflow writes beside each flavor."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        mlflow.sklearn.save_model(
            LogisticRegression().fit(NUMBERS, TWO), str(folder), pip_requirements=REQUIREMENTS, serialization_format="cloudpickle",
            signature=infer_signature(NUMBERS, TWO), pyfunc_predict_fn="predict_proba",
        )  # fmt: skip
        from tests.logged_places import logged_folder

        logged_folder(folder)


def with_code() -> Any:
    """Log a pipeline with a step of a module that lies beside it."""
    with tempfile.TemporaryDirectory() as temporary:
        module = Path(temporary) / "steps_of_the_team.py"
        module.write_text("def doubled(table):\n    return table * 2\n", encoding="utf-8")
        namespace: dict[str, Any] = {"__name__": "steps_of_the_team"}
        exec(module.read_text(encoding="utf-8"), namespace)  # noqa: S102 - what a notebook does
        fitted = make_pipeline(FunctionTransformer(namespace["doubled"]), LogisticRegression()).fit(NUMBERS, TWO)
        return sklearn(fitted, signature=infer_signature(NUMBERS, TWO), code_paths=[str(module)])


def from_code() -> Any:
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "steps.py"
        path.write_text(_CODE, encoding="utf-8")
        return mlflow.pyfunc.log_model(
            name="model", python_model=str(path), pip_requirements=["mlflow"], signature=infer_signature(NUMBERS, ["low"])
        )


def plain_function() -> Any:
    return by_value(lambda model_input: ["high" if share > 0.5 else "low" for share in model_input["share"]])


def by_value(model: Any, **options: Any) -> Any:
    return mlflow.pyfunc.log_model(
        name="model", python_model=model, pip_requirements=["mlflow"], signature=infer_signature(NUMBERS, ["low"]), **options
    )


def with_artifact() -> Any:
    """Log a class around a model that lies among its artifacts, with its names of labels."""

    class Wrapped(PythonModel):
        def load_context(self, context: Any) -> None:
            import pickle

            self.model = pickle.loads(Path(context.artifacts["model"]).read_bytes())  # noqa: S301 - what people log

        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:  # noqa: ARG002 - MLflow's
            return [["low", "high"][place] for place in self.model.predict(model_input)]

    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "inner.pkl"
        path.write_bytes(cloudpickle.dumps(LogisticRegression().fit(NUMBERS, TWO)))
        return by_value(Wrapped(), artifacts={"model": str(path)})


def two_models() -> None:
    for name in ("model", "other"):
        fitted = LogisticRegression().fit(NUMBERS, TWO)
        mlflow.sklearn.log_model(
            fitted, name=name, pip_requirements=REQUIREMENTS, serialization_format="cloudpickle", signature=infer_signature(NUMBERS, TWO)
        )


def _scaled() -> Any:
    return make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())


def _strict() -> Any:
    """Return a pipeline that refuses values that training did not see."""
    return make_pipeline(make_column_transformer((OneHotEncoder(), ["borough"]), remainder="passthrough"), LogisticRegression())


def _mixed() -> Any:
    return make_pipeline(make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["borough"]), remainder="passthrough"),
                         RandomForestClassifier(5, random_state=0))  # fmt: skip


MORE: Mapping[str, Row] = {
    "autolog, numbers": Row(lambda: autologged_numbers(log_input_examples=True), origin="input_example", place="a run"),
    "autolog, numbers, without example": Row(autologged_numbers, place="a run"),
    "autolog, numbers, without signature": Row(
        lambda: autologged_numbers(log_model_signatures=False), refused="it has no signature", mended={"signature": INPUTS}, place="a run"
    ),
    "autolog, a search for parameters": Row(autologged_search, place="a run", refused="logged 2 models, of which one must be named"),
    "pickle, the format of that name": Row(plain_pickle, place="an alias"),
    "pickle, labels as text": Row(lambda: of_table(LogisticRegression(), NUMBERS, THREE), place="a copied version"),
    "pickle, labels as truth values": Row(
        lambda: of_table(RandomForestClassifier(3, random_state=0), NUMBERS, np.array(TWO) == 1), place="a version of a deleted run"
    ),
    "pickle, missing values": Row(lambda: of_table(_scaled(), MISSING, TWO), place="a version without a run"),
    "pickle, texts and numbers": Row(
        lambda: of_table(_mixed(), PLACES_OF_WORK, THREE, input_example=PLACES_OF_WORK.head(8)), origin="input_example",
        place="a nested path of a run, MLflow 2",
    ),
    "pickle, an example of which it refuses a row": Row(
        lambda: of_table(_strict(), PLACES_OF_WORK, THREE, input_example=PLACES_OF_WORK.head(4).replace("12e", "21e")),
        origin="input_example", place="a run",
    ),
    "pickle, an example that lacks a value": Row(
        lambda: of_numbers(LogisticRegression(), TWO, MISSING), refused="has no value for 'share' in row 1",
        mended={"examples": _EXAMPLES},
    ),
    "pickle, a classifier without probabilities": Row(lambda: of_table(LinearSVC(), NUMBERS, THREE), place="a logged model"),
    "pickle, a search for parameters": Row(
        lambda: of_table(GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2), NUMBERS, TWO), place="a run, by the model's name"
    ),
    "pickle, probabilities asked of pyfunc": Row(without_pyfunc, place="a run"),
    "pickle, outliers": Row(lambda: of_table(IsolationForest(n_estimators=5, random_state=0), NUMBERS, None), task="other"),
    "pickle, what cannot predict": Row(
        lambda: sklearn(PCA(1).fit(NUMBERS), signature=infer_signature(NUMBERS)), refused="a PCA cannot predict"
    ),
    "pickle, a module of the team beside it": Row(with_code),
    "pickle, a named text": Row(
        lambda: sklearn(named_text(), signature=infer_signature(pd.DataFrame({"text": TEXTS}), ["bad"])), place="an alias"
    ),
    "pickle, a named text and --text-column": Row(
        lambda: sklearn(named_text(), signature=infer_signature(pd.DataFrame({"text": TEXTS}), ["bad"])), {"text_column": "comment"},
        refused="--text-column is for a model without named columns", mended={},
    ),
    "pickle, labels named that it does not give": Row(
        lambda: of_numbers(LogisticRegression(), TWO), {"labels": json.dumps({"0": "no", "1": "yes", "2": "perhaps"})},
        refused="--labels names 2, which the model does not give", mended={"labels": '["no", "yes"]'},
    ),
    "regression with names of labels": Row(
        lambda: of_numbers(scaled_regression(), np.linspace(0, 9, 20)), {"labels": '["no", "yes"]'},
        refused="--labels names labels, and the model does not give any", mended={},
    ),
    "two models in a run": Row(two_models, place="a run", refused="logged 2 models, of which one must be named: model, other"),
    "two models in a run, one named": Row(two_models, place="a run, by the model's name"),
    "pyfunc, a file of code": Row(from_code, task="other", place="a run"),
    "pyfunc, a function": Row(plain_function, {"labels": '{"low": "bas", "high": "haut"}'}, place="a logged model"),
    "pyfunc, a class around an artifact": Row(
        with_artifact, {"labels": '{"low": "bas", "high": "haut"}'}, place="a nested path of a run, MLflow 2"
    ),
}  # fmt: skip


def scaled_regression() -> Any:
    from sklearn.linear_model import Ridge

    return make_pipeline(StandardScaler(), Ridge())
