"""XGBoost: boosters, and estimators with the interface of scikit-learn, both in XGBoost's own formats."""

from __future__ import annotations

import importlib
import json
from functools import partial

from passerelle.model.host.boosters import Booster
from passerelle.model.host.estimator import Estimator
from passerelle.model.host.outputs import plain
from passerelle.model.host.readers import Recipe
from passerelle.model.host.values import Foreign

_RANKINGS = ("rank:", "survival:")


def read(recipe: Recipe) -> Foreign:
    """Return the booster or the estimator of the directory."""
    module, _, name = str(recipe.entry.get("model_class", "xgboost.core.Booster")).rpartition(".")
    model = getattr(importlib.import_module(module), name)()
    model.load_model(recipe.file("data", "model.xgb"))
    if name != "Booster":
        return Estimator(model, recipe.names)
    learner = json.loads(model.save_config())["learner"]
    objective = str(learner["objective"]["name"])
    count = int(learner["learner_model_param"]["num_class"])
    targets = int(learner["learner_model_param"].get("num_target", 1))
    predict = partial(_predict, model)
    if objective in {"multi:softmax", "binary:hinge"}:
        return LabelBooster(predict, max(count, 2))
    if objective == "binary:logistic" and targets > 1:
        return Booster(predict, None, "multioutput", recipe.names)
    classes = count if objective == "multi:softprob" else {"binary:logistic": 2}.get(objective)
    task = "other" if objective.startswith(_RANKINGS) or objective == "binary:logitraw" else "regression"
    return Booster(predict, classes, task, recipe.names)


class LabelBooster:
    """A booster that gives numbers of classes without probabilities.

    Attributes:
        task: What it does with a record.
        classes: 0, 1, … as far as there are classes.
    """

    task = "classification"

    def __init__(self, predict: Foreign, count: int) -> None:
        self._predict = predict
        self.classes: list[object] = list(range(count))

    def predict(self, table: Foreign, params: dict[str, object]) -> tuple[list[object], None]:
        """Return the class of each record."""
        return plain(self._predict(table, **params).astype("int64")), None

    def quick(self, given: Foreign) -> tuple[list[object], None]:
        """Return what `predict` returns, of an array of numbers too."""
        return self.predict(given, {})


def _predict(model: Foreign, table: Foreign, **params: object) -> Foreign:
    import xgboost

    names = None if hasattr(table, "columns") else model.feature_names
    return model.predict(xgboost.DMatrix(table, feature_names=names), **params)
