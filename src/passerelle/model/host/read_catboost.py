"""CatBoost: its native models and its estimators, both in its own formats."""

from __future__ import annotations

from functools import partial

from passerelle.model.host.boosters import Booster
from passerelle.model.host.estimator import Estimator
from passerelle.model.host.outputs import plain
from passerelle.model.host.readers import Recipe
from passerelle.model.host.values import Foreign, encoded

_CLASSIFYING = {"Logloss", "CrossEntropy", "MultiClass", "MultiClassOneVsAll"}
_RANKING = ("YetiRank", "PairLogit", "QueryRMSE", "QuerySoftMax", "StochasticRank", "LambdaMart")


def read(recipe: Recipe) -> Foreign:
    """Return the model of the directory."""
    import catboost

    kind = str(recipe.entry.get("model_type", "CatBoost"))
    model = getattr(catboost, kind)()
    model.load_model(recipe.file("data", "model.cb"), str(recipe.entry.get("save_format", "cbm")))
    if kind in {"CatBoostClassifier", "CatBoostRegressor"}:
        return CatBoostEstimator(model, recipe.names)
    loss = str((model.get_all_params() or {}).get("loss_function", "")).partition(":")[0]
    if loss in _CLASSIFYING:
        return NativeClassifier(model)
    return Booster(partial(_values, model), None, "other" if loss.startswith(_RANKING) else "regression", recipe.names)


class NativeClassifier:
    """A native model that was trained to tell classes apart; by itself it gives raw values.

    Attributes:
        task: What it does with a record.
        classes: Its labels.
    """

    task = "classification"

    def __init__(self, model: Foreign) -> None:
        self._model = model
        self.classes: object = encoded(model.classes_)

    def predict(self, table: Foreign, params: dict[str, object]) -> tuple[list[object], list[list[float]]]:
        """Return the label of each record and the probabilities of the classes."""
        del params
        labels = plain(self._model.predict(_clean(table), prediction_type="Class"))
        return labels, self._model.predict(_clean(table), prediction_type="Probability").tolist()

    def quick(self, given: Foreign) -> tuple[list[object], list[list[float]]]:
        """Return what `predict` returns, of an array of numbers too."""
        return self.predict(given, {})


class CatBoostEstimator(Estimator):
    """An estimator of CatBoost, which takes no NaN in columns of texts.

    Attributes:
        takes_rows: It takes lists of values too, in half the time of a table.
    """

    takes_rows = True

    def predict(self, table: Foreign, params: dict[str, object]) -> tuple[list[object], list[list[float]] | None]:
        """Return the value of each record, and the probabilities of the classes, or None without any."""
        return super().predict(_clean(table), params)

    def quick(self, given: Foreign) -> tuple[list[object], list[list[float]] | None]:
        """Return what `predict` returns, of an array of numbers too."""
        return super().quick(_clean(given))


def _values(model: Foreign, table: Foreign, **params: object) -> Foreign:
    return model.predict(_clean(table), **params)


def _clean(table: Foreign) -> Foreign:
    """Return the table with texts as objects: CatBoost knows no other type of text."""
    if not hasattr(table, "dtypes"):
        return table
    texts = [name for name, dtype in table.dtypes.items() if str(dtype) in {"str", "string"}]
    return table.astype(dict.fromkeys(texts, "object")) if texts else table
