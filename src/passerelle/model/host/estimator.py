"""A fitted estimator with the interface of scikit-learn, whatever library made it."""

from __future__ import annotations

import sys

from passerelle.model.host.outputs import OutputNames, numbers, plain
from passerelle.model.host.step_by_step import step_by_step
from passerelle.model.host.values import Foreign, encoded

_TWO = 2
#: Difference of two probabilities under which the estimator itself is asked for the label.
_TIE = 1e-6
#: Estimators whose label is the most probable class, by the beginning of their module.
_MOST_PROBABLE = (
    "sklearn.linear_model._logistic", "sklearn.ensemble._forest", "sklearn.ensemble._gb", "sklearn.ensemble._hist_gradient_boosting",
    "sklearn.tree", "sklearn.naive_bayes", "sklearn.neural_network", "sklearn.calibration", "lightgbm.", "xgboost.", "catboost.",
)  # fmt: skip


class Estimator:
    """Answers with what the estimator predicts.

    Args:
        estimator: Fitted.
        names: Of the outputs.

    Attributes:
        task: What it does with a record, in the words of an adoption; known for certain once it has predicted.
        classes: Its labels, as JSON has them; None where it has none.

    Raises:
        TypeError: It cannot predict.
    """

    def __init__(self, estimator: Foreign, names: OutputNames) -> None:
        if not callable(getattr(estimator, "predict", None)):
            raise TypeError(f"a {type(estimator).__name__} cannot predict")
        self._estimator = estimator
        self._names = names
        self.task = _task_of(estimator)
        self.classes: list[object] | None = self._classes()
        self._by_probability = self.task == "classification" and _takes_most_probable(_last_step(estimator))
        _use_one_thread(estimator)
        self._steps = step_by_step(estimator)

    @property
    def fitted(self) -> Foreign:
        """The estimator itself, as its own library saves it."""
        return getattr(self._estimator, "unwrapped", self._estimator)

    def predict(self, table: Foreign, params: dict[str, object]) -> tuple[list[object], list[list[float]] | None]:
        """Return the value of each record, and the probabilities of the classes, or None without any."""
        predicted = self._estimator.predict(table, **params)
        wide = getattr(predicted, "ndim", 1) == _TWO and predicted.shape[1] > 1
        if wide and self.task in {"classification", "regression"}:
            self.task = "multilabel" if self.task == "classification" and _zeros_and_ones(predicted) else "multioutput"
            self.classes = self._classes() if self.task == "multilabel" else None
        if self.task == "multilabel":
            return self._labels(predicted, table)
        if wide or self.task == "multioutput":
            return self._names.rows(predicted), None
        probabilities = None
        if self.task == "classification" and callable(getattr(self._estimator, "predict_proba", None)):
            probabilities = numbers(self._estimator.predict_proba(table))
        return plain(predicted), probabilities

    def quick(self, given: Foreign) -> tuple[list[object], list[list[float]] | None]:
        """Return what `predict` returns, of an array of numbers too; where the label is the most probable class, without asking for it."""
        if not self._by_probability:
            return self.predict(given, {})
        rows = numbers(self._probabilities(given))
        labels: list[object] = []
        for row in rows:
            first, second = sorted(row)[-1], sorted(row)[-2] if len(row) > 1 else 0.0
            if first - second < _TIE:
                return plain(self._estimator.predict(given)), rows
            labels.append((self.classes or [])[row.index(first)])
        return labels, rows

    def _probabilities(self, given: Foreign) -> Foreign:
        try:
            return self._steps.predict_proba(given)
        except Exception:  # noqa: BLE001 - the pipeline itself says what it cannot take
            return self._estimator.predict_proba(given)

    def _labels(self, predicted: Foreign, table: Foreign) -> tuple[list[object], list[list[float]] | None]:
        """Return the labels that each record gets, and the probability of each label."""
        rows = predicted.toarray() if hasattr(predicted, "toarray") else predicted
        if self.classes is None or len(self.classes) != rows.shape[1]:
            self.classes = list(self._output_classes(int(rows.shape[1])))
        labels = [[label for label, given in zip(self.classes, row) if given] for row in rows.tolist()]
        if not callable(getattr(self._estimator, "predict_proba", None)):
            return list(labels), None
        found = self._estimator.predict_proba(table)
        if isinstance(found, list):
            # One table a label, with the probabilities of 0 and 1; of 0 alone where training saw nothing else.
            found = [[float(row[1]) if len(row) > 1 else float(bool(labels_seen)) for row in each]
                     for each, labels_seen in zip(found, self._constant())]  # fmt: skip
            return list(labels), [list(row) for row in zip(*found)]
        return list(labels), numbers(found)

    def _constant(self) -> list[object]:
        """Return the last class of each output."""
        return [list(each)[-1] for each in getattr(self._estimator, "classes_", [])]

    def _classes(self) -> list[object] | None:
        if self.task == "multilabel":
            found = getattr(self._estimator, "classes_", None)
            if isinstance(found, list):
                return list(self._output_classes(len(found)))
            return None if found is None else _as_list(found)
        if self.task != "classification":
            return None
        return _as_list(self._estimator.classes_)

    def _output_classes(self, count: int) -> list[object]:
        """Return the labels of the columns of an indicator matrix: the schema's names, else their places."""
        names = self._names.of(count)
        return list(range(count)) if names == [f"output_{place}" for place in range(count)] else list(names)


def _as_list(classes: Foreign) -> list[object]:
    found = encoded(classes)
    return found if isinstance(found, list) else [found]


def _zeros_and_ones(predicted: Foreign) -> bool:
    return all(value in (0, 1) for row in (predicted.toarray() if hasattr(predicted, "toarray") else predicted).tolist() for value in row)


def _last_step(estimator: Foreign) -> Foreign:
    """Return what decides about the answer: the last step of a pipeline, the best of a search."""
    for _ in range(10):
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "steps") and estimator.steps:
            estimator = estimator.steps[-1][1]
        else:
            break
    return estimator


def _task_of(estimator: Foreign) -> str:
    kind, last = _kind(estimator), _last_step(estimator)
    if kind == "clusterer":
        return "clustering"
    if kind == "regressor":
        return "multioutput" if _outputs(last) > 1 else "regression"
    classes = getattr(estimator, "classes_", None)
    if kind == "outlier_detector" or (classes is None and kind != "classifier"):
        return "other"
    if isinstance(classes, list) and classes and all(hasattr(each, "tolist") for each in classes):
        return "multilabel" if all(set(each.tolist()) <= {0, 1} for each in classes) else "multioutput"
    binarizer = getattr(last, "_label_binarizer", None)
    if getattr(last, "multilabel_", False) or str(getattr(binarizer, "y_type_", "")).startswith("multilabel"):
        return "multilabel"
    return "classification" if classes is not None else "other"


def _outputs(regressor: Foreign) -> int:
    found = getattr(regressor, "n_outputs_", None)
    if isinstance(found, int):
        return found
    shape: tuple[int, ...] = getattr(getattr(regressor, "coef_", None), "shape", ())
    if len(shape) == _TWO:
        return int(shape[0])
    return len(getattr(regressor, "estimators_", ())) if type(regressor).__name__ == "MultiOutputRegressor" else 1


def _kind(estimator: Foreign) -> str:
    """Return what scikit-learn's tags say the estimator is; empty where it has none."""
    if "sklearn" in sys.modules:
        try:
            from sklearn.utils import get_tags

            return str(get_tags(estimator).estimator_type or "")
        except Exception:  # noqa: BLE001, S110 - older versions have no tags, and other libraries' may fail
            pass
    return str(getattr(estimator, "_estimator_type", "") or "")


def _takes_most_probable(last: Foreign) -> bool:
    return type(last).__module__.startswith(_MOST_PROBABLE) and callable(getattr(last, "predict_proba", None))


def _use_one_thread(estimator: Foreign) -> None:
    """Let the estimator predict in this thread: to start others takes longer than a few records."""
    try:
        names = [name for name in estimator.get_params() if name == "n_jobs" or name.endswith("__n_jobs")]
        estimator.set_params(**dict.fromkeys(names, 1))
    except Exception:  # noqa: BLE001, S110 - then with more threads
        pass
