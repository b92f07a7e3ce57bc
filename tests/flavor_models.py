"""Logs a model of each flavor, reads it as the process of an adopted model does, and writes what both say beside what pyfunc says.

Run by the interpreter of the flavors' environment, without passerelle: `python tests/flavor_models.py START FOLDER`, where START is the
start.py of `model/host/`; or `python tests/flavor_models.py --save NAME FOLDER`, which saves one of the models; or `--save-all FOLDER`.
"""

from __future__ import annotations

import json
import logging
import runpy
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import yaml
from mlflow.models import infer_signature

#: The task and the classes of each model, and what pyfunc gives: the labels, the probabilities, an indicator matrix, numbers; None where
#: it fails, or gives something else by design.
EXPECTED: dict[str, tuple[str, list[Any] | None, str | None]] = {
    "lightgbm binary": ("classification", [0, 1], "probabilities"),
    "lightgbm multiclass": ("classification", [0, 1, 2], "probabilities"),
    "lightgbm regression": ("regression", None, "numbers"),
    "lightgbm estimator": ("classification", ["no", "yes"], "labels"),
    "lightgbm categories": ("classification", ["x", "y", "z"], None),
    "xgboost softprob": ("classification", [0, 1, 2], "probabilities"),
    "xgboost softmax": ("classification", [0, 1, 2], "labels"),
    "xgboost logistic": ("classification", [0, 1], "probabilities"),
    "xgboost squarederror": ("regression", None, "numbers"),
    "xgboost estimator": ("classification", [0, 1, 2], "labels"),
    "catboost classifier": ("classification", ["no", "yes"], "labels"),
    "catboost multiclass": ("classification", [0, 1, 2], "labels"),
    "catboost native": ("classification", [0, 1], None),
    "onnx classifier": ("classification", ["no", "yes"], "labels"),
    "onnx tensor": ("classification", [3, 4, 5], None),
    "onnx regression": ("regression", None, "numbers"),
    "sklearn booleans": ("classification", [False, True], "labels"),
    "sklearn multilabel": ("multilabel", [0, 1], "indicator"),
    "sklearn forest multilabel": ("multilabel", [0, 1], "indicator"),
    "sklearn multioutput": ("multioutput", None, "numbers"),
    "sklearn clustering": ("clustering", None, "labels"),
    "sklearn pipeline of lightgbm": ("classification", ["no", "yes"], "labels"),
    "pyfunc number": ("regression", None, "numbers"),
    "pyfunc table": ("multioutput", None, "numbers"),
}
#: A name, what saves the model into a folder with a signature, a table, and the values whose types the signature has.
Case = tuple[str, Callable[..., None], pd.DataFrame, Any]
_GENERATOR = np.random.default_rng(0)
_ROWS = 60
NUMBERS = pd.DataFrame({"a": _GENERATOR.normal(size=_ROWS), "b": _GENERATOR.normal(size=_ROWS), "n": range(_ROWS)}).astype({"n": "int64"})
MIXED = NUMBERS.assign(c=["x", "y", "z"] * (_ROWS // 3))
BINARY = (NUMBERS["a"] > 0).astype(int)
THREE = BINARY + (NUMBERS["b"] > 1).astype(int)
WORDS = BINARY.map({0: "no", 1: "yes"})
FLOATS = NUMBERS["a"] * 2 + NUMBERS["b"]


def lightgbm_cases() -> Iterator[Case]:
    import lightgbm

    quiet = {"verbose": -1, "num_leaves": 4, "seed": 0}
    for name, objective, labels in [
        ("binary", "binary", BINARY),
        ("multiclass", "multiclass", THREE),
        ("regression", "regression", FLOATS),
    ]:
        params = {**quiet, "objective": objective, **({"num_class": 3} if objective == "multiclass" else {})}
        booster = lightgbm.train(params, lightgbm.Dataset(NUMBERS, labels), 5)
        yield f"lightgbm {name}", saver(mlflow.lightgbm.save_model, booster), NUMBERS, FLOATS
    estimator = lightgbm.LGBMClassifier(n_estimators=5, num_leaves=4, verbose=-1)
    yield "lightgbm estimator", saver(mlflow.lightgbm.save_model, estimator.fit(NUMBERS, WORDS)), NUMBERS, WORDS
    categories = MIXED.astype({"c": "category"})
    estimator = lightgbm.LGBMClassifier(n_estimators=5, num_leaves=4, verbose=-1, min_child_samples=1, min_data_per_group=1)
    yield "lightgbm categories", saver(mlflow.lightgbm.save_model, estimator.fit(categories, MIXED["c"])), MIXED, WORDS


def xgboost_cases() -> Iterator[Case]:
    import xgboost

    for name, objective, labels in [
        ("softprob", "multi:softprob", THREE),
        ("softmax", "multi:softmax", THREE),
        ("logistic", "binary:logistic", BINARY),
        ("squarederror", "reg:squarederror", FLOATS),
    ]:
        params = {"objective": objective, "max_depth": 2, **({"num_class": 3} if objective.startswith("multi") else {})}
        booster = xgboost.train(params, xgboost.DMatrix(NUMBERS, labels), 5)
        yield f"xgboost {name}", saver(mlflow.xgboost.save_model, booster), NUMBERS, FLOATS
    estimator = xgboost.XGBClassifier(n_estimators=5, max_depth=2)
    yield "xgboost estimator", saver(mlflow.xgboost.save_model, estimator.fit(NUMBERS, THREE)), NUMBERS, THREE


def catboost_cases() -> Iterator[Case]:
    import catboost

    quiet = {"iterations": 5, "depth": 2, "verbose": False, "allow_writing_files": False}
    classifier = catboost.CatBoostClassifier(**quiet, cat_features=["c"]).fit(MIXED.astype({"c": object}), WORDS)
    yield "catboost classifier", saver(mlflow.catboost.save_model, classifier), MIXED, WORDS
    many = catboost.CatBoostClassifier(**quiet).fit(NUMBERS, THREE)
    yield "catboost multiclass", saver(mlflow.catboost.save_model, many), NUMBERS, THREE
    native = catboost.CatBoost({**quiet, "loss_function": "Logloss"}).fit(NUMBERS, BINARY)
    yield "catboost native", saver(mlflow.catboost.save_model, native), NUMBERS, FLOATS


def onnx_cases() -> Iterator[Case]:
    import mlflow.onnx
    from skl2onnx import to_onnx
    from sklearn.linear_model import LinearRegression, LogisticRegression

    singles = NUMBERS.astype("float32")
    classifier = LogisticRegression().fit(singles, WORDS)
    yield "onnx classifier", saver(mlflow.onnx.save_model, to_onnx(classifier, singles.to_numpy()[:1])), singles, WORDS
    plain = to_onnx(LogisticRegression().fit(singles, THREE + 3), singles.to_numpy()[:1], options={"zipmap": False})
    yield "onnx tensor", saver(mlflow.onnx.save_model, plain), singles, THREE
    regression = to_onnx(LinearRegression().fit(singles, FLOATS), singles.to_numpy()[:1])
    yield "onnx regression", saver(mlflow.onnx.save_model, regression), singles, FLOATS


def sklearn_cases() -> Iterator[Case]:
    import lightgbm
    from sklearn.cluster import KMeans
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    def pickled(model: Any) -> Callable[..., None]:
        return saver(mlflow.sklearn.save_model, model, serialization_format="cloudpickle")

    yield "sklearn booleans", pickled(RandomForestClassifier(3, random_state=0).fit(NUMBERS, BINARY == 1)), NUMBERS, BINARY == 1
    several = np.column_stack([BINARY, THREE > 1])
    yield "sklearn multilabel", pickled(OneVsRestClassifier(LogisticRegression()).fit(NUMBERS, several)), NUMBERS, several
    yield "sklearn forest multilabel", pickled(RandomForestClassifier(3, random_state=0).fit(NUMBERS, several)), NUMBERS, several
    outputs = pd.DataFrame({"height": FLOATS, "width": FLOATS * 2})
    yield "sklearn multioutput", pickled(LinearRegression().fit(NUMBERS, outputs)), NUMBERS, outputs
    yield "sklearn clustering", pickled(KMeans(2, n_init=1, random_state=0).fit(NUMBERS)), NUMBERS, BINARY
    prepare = make_column_transformer((OneHotEncoder(), ["c"]), remainder="passthrough")
    boosted = make_pipeline(prepare, lightgbm.LGBMClassifier(n_estimators=5, num_leaves=4, verbose=-1)).fit(MIXED, WORDS)
    yield "sklearn pipeline of lightgbm", pickled(boosted), MIXED, WORDS


def function_cases() -> Iterator[Case]:
    base: Any = mlflow.pyfunc.PythonModel

    class Sum(base):  # type: ignore[misc]  # it has no types
        def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:
            return model_input[["a", "b"]].sum(axis=1) * (params or {}).get("factor", 1.0)

    class Named(base):  # type: ignore[misc]  # as above
        def predict(self, model_input: pd.DataFrame) -> Any:
            return pd.DataFrame({"low": model_input["a"] - 1, "high": model_input["a"] + 1})

    def save(model: Any) -> Callable[..., None]:
        return lambda path, signature: mlflow.pyfunc.save_model(path, python_model=model, signature=signature, pip_requirements=[])

    yield "pyfunc number", save(Sum()), NUMBERS, FLOATS
    yield "pyfunc table", save(Named()), NUMBERS, pd.DataFrame({"low": FLOATS, "high": FLOATS})


def saver(save: Callable[..., None], model: Any, **options: Any) -> Callable[..., None]:
    # Otherwise MLflow imports the model in a process of its own to see what it needs.
    return lambda path, signature: save(model, path, signature=signature, pip_requirements=[], **options)


def records_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [dict(each) for each in json.loads(table.to_json(orient="records", double_precision=15))]


CASES = (lightgbm_cases, xgboost_cases, catboost_cases, onnx_cases, sklearn_cases, function_cases)


def answers(case: Case, folder: Path) -> dict[str, Any]:
    """Return what the reader says of the model's table, and what pyfunc says."""
    from passerelle.model.host.loop import ReadModel

    name, save, table, values = case
    save(str(folder), infer_signature(table, values))
    content = yaml.safe_load((folder / "MLmodel").read_text())
    flavor = next(
        (each for each in ("sklearn", "lightgbm", "xgboost", "catboost", "onnx") if each in content["flavors"]), "python_function"
    )
    signature = {key: json.loads(content["signature"][key]) for key in ("inputs", "outputs")}
    entries = {"entry": content["flavors"].get(flavor), "function": content["flavors"]["python_function"]}
    message = {"folder": str(folder), "flavor": flavor, "form": "table", **entries, **signature}
    answering = ReadModel(message, lambda types: bool(types) or True)
    several = answering.answer({"records": records_of(table)})
    alone = [answering.answer({"records": [record]}) for record in records_of(table)[:5]]
    try:
        function = np.asarray(mlflow.pyfunc.load_model(str(folder)).predict(table)).tolist()
    except Exception as error:  # noqa: BLE001 - pyfunc cannot answer with every ONNX model
        function = type(error).__name__
    return {"name": name, "flavor": flavor, **several, "alone": alone, "pyfunc": function}


def main(start: str, folder: str) -> None:
    """Write the answers to `answers.json` in the folder."""
    warnings.filterwarnings("ignore")
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    runpy.run_path(start)["_load"]()
    found = []
    for cases in CASES:
        for place, case in enumerate(cases()):
            try:
                found.append(answers(case, Path(folder) / f"{cases.__name__}-{place}"))
            except Exception:  # noqa: BLE001 - the test shows it
                found.append({"name": case[0], "failed": traceback.format_exc()})
    (Path(folder) / "answers.json").write_text(json.dumps(found))


def save(name: str, folder: str) -> None:
    """Save the model of this name into the folder, with its records and its signature beside."""
    warnings.filterwarnings("ignore")
    _, save_model, table, values = next(case for cases in CASES for case in cases() if case[0] == name)
    signature = infer_signature(table, values)
    save_model(str(Path(folder) / "mlflow_model"), signature)
    (Path(folder) / "records.json").write_text(json.dumps(records_of(table)))
    content = {part: json.loads(text) for part, text in signature.to_dict().items() if text}
    (Path(folder) / "signature.json").write_text(json.dumps(content))


def save_all(folder: str) -> None:
    """Save each model in a folder of its name."""
    warnings.filterwarnings("ignore")
    for cases in CASES:
        for name, save_model, table, values in cases():
            save_model(str(Path(folder) / name), infer_signature(table, values))


if __name__ == "__main__":
    if sys.argv[1] == "--save-all":
        save_all(sys.argv[2])
    elif sys.argv[1] == "--save":
        save(*sys.argv[2:])
    else:
        main(*sys.argv[1:])
