"""LightGBM: boosters in its own text format, and estimators with the interface of scikit-learn."""

from __future__ import annotations

import re

from passerelle.model.host.boosters import Booster
from passerelle.model.host.estimator import Estimator
from passerelle.model.host.readers import Recipe, of_format
from passerelle.model.host.values import Foreign

_OBJECTIVE = re.compile(r"^objective=(\w+)(?: num_class:(\d+))?", re.MULTILINE)
_HEAD_BYTES = 65_536


def read(recipe: Recipe) -> Estimator | Booster:
    """Return the booster or the estimator of the directory."""
    if str(recipe.entry.get("model_class", "lightgbm.basic.Booster")) != "lightgbm.basic.Booster":
        path = recipe.file("data", "model.pkl")
        estimator = of_format(path, str(recipe.entry.get("serialization_format", "cloudpickle")), recipe.trusts)
        kind = LightGbmClassifier if type(estimator).__name__ == "LGBMClassifier" else Estimator
        return kind(_with_categories(estimator, estimator.booster_), recipe.names)
    import lightgbm

    path = recipe.file("data", "model.lgb")
    booster = lightgbm.Booster(model_file=path)
    with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - a part of it
        found = _OBJECTIVE.search(file.read(_HEAD_BYTES))
    objective = found[1] if found else ""
    classes = {"binary": 2, "multiclass": 0, "multiclassova": 0}.get(objective)
    count = int(found[2]) if found and found[2] and classes == 0 else classes
    task = "other" if objective in {"lambdarank", "rank_xendcg", ""} else "regression"
    return Booster(_with_categories(booster, booster).predict, count, task, recipe.names)


class LightGbmClassifier(Estimator):
    """A classifier of LightGBM, whose booster gives the same probabilities in a tenth of the time."""

    def quick(self, given: Foreign) -> tuple[list[object], list[list[float]] | None]:
        """Return what `predict` returns, of an array of numbers too."""
        classes = self.classes or []
        found = self._estimator.booster_.predict(given, num_threads=1)
        rows = [[1.0 - each, each] for each in found.tolist()] if found.ndim == 1 else found.tolist()
        return [classes[row.index(max(row))] for row in rows], rows


class WithCategories:
    """A model that was trained on pandas categories: texts reach it as categories again, and it knows their numbers itself."""

    def __init__(self, model: Foreign) -> None:
        self._model = model

    @property
    def unwrapped(self) -> Foreign:
        """The model itself."""
        return self._model

    def __getattr__(self, name: str) -> Foreign:
        return getattr(self._model, name)

    def predict(self, table: Foreign, **params: object) -> Foreign:
        """Return the predictions of a table of texts and numbers."""
        return self._model.predict(_categorised(table), **params)

    def predict_proba(self, table: Foreign) -> Foreign:
        """Return the probabilities of a table of texts and numbers."""
        return self._model.predict_proba(_categorised(table))


def _with_categories(model: Foreign, booster: Foreign) -> Foreign:
    return WithCategories(model) if getattr(booster, "pandas_categorical", None) else model


def _categorised(table: Foreign) -> Foreign:
    texts = [name for name, dtype in table.dtypes.items() if dtype.kind == "O" or str(dtype) in {"str", "string"}]
    return table.astype(dict.fromkeys(texts, "category"))
