"""The figures of models that are no classifiers of one label, on labelled rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import metrics

from passerelle.errors import DataError
from passerelle.gate.class_names import ClassNames
from passerelle.gate.labelled_rows import LabelledRows

Numbers = NDArray[np.float64]
_AGAIN = "passerelle promote --held-out FILE --label COLUMN"
#: Tasks whose answers labelled rows can judge.
MEASURED = ("regression", "multilabel", "multioutput")


@dataclass(frozen=True)
class TaskScores:
    """One model on n rows.

    Attributes:
        figures: By name; the means over its outputs of a model with several, and each output's own as `figure/output`.
        losses: Error of each row, shape (n,), of which the mean is compared with the champion's; None where `counts` are.
        counts: Of each row and label, shape (n, labels): hits, given and right, of a model that gives labels.
    """

    figures: Mapping[str, float]
    losses: Numbers | None = None
    counts: tuple[Numbers, Numbers, Numbers] | None = field(default=None, repr=False)

    @cached_property
    def metric(self) -> str:
        """The figure that is compared with the champion's."""
        return "macro_f1" if self.losses is None else "mae"

    @cached_property
    def sums(self) -> Numbers:
        """What each row adds to the sums that the figure depends on, shape (n, sums)."""
        if self.losses is not None:
            return np.column_stack([self.losses, np.ones(len(self.losses))])
        return np.hstack(self.counts or ())

    def of_sums(self, sums: Numbers) -> Numbers:
        """Return the figure of each draw of rows, shape (draws,), from the sums over its rows, shape (draws, sums)."""
        if self.losses is not None:
            return np.asarray(sums[:, 0] / sums[:, 1])
        hits, given, right = np.hsplit(sums, 3)
        present = right > 0
        f1 = np.where(present, 2 * hits / np.maximum(given + right, 1), 0).sum(axis=1)
        return np.asarray(f1 / np.maximum(present.sum(axis=1), 1))

    def value(self) -> float:
        """Return that figure on all rows."""
        return float(self.of_sums(self.sums.sum(axis=0)[None, :])[0])


def scores_of_task(task: str, rows: LabelledRows, answers: pd.DataFrame, values: Sequence[object], classes: ClassNames) -> TaskScores:
    """Return the scores of what a model gave.

    Args:
        task: One of `MEASURED`.
        rows: What the right answers come from.
        answers: Those of the rows that are judged by.
        values: What the model gave for each of them.
        classes: Of a model that gives several labels.

    Raises:
        DataError: The right answers are none of this task.
        ValueError: The model's are not.
    """
    return _BY_TASK[task](rows, answers, values, classes)


def regression_figures(truth: Numbers, predicted: Numbers) -> dict[str, float]:
    """Return mean absolute error, root of the mean squared error, and R²; that only where the right answers differ."""
    found = {
        "mae": float(metrics.mean_absolute_error(truth, predicted)),
        "rmse": float(metrics.root_mean_squared_error(truth, predicted)),
    }
    return found | ({"r2": float(metrics.r2_score(truth, predicted))} if np.ptp(truth) > 0 else {})


def _regression(rows: LabelledRows, answers: pd.DataFrame, values: Sequence[object], _: ClassNames) -> TaskScores:
    truth, predicted = _numbers_of_file(rows, answers.iloc[:, 0]), _numbers([_alone(value) for value in values])
    return TaskScores(regression_figures(truth, predicted), losses=np.abs(truth - predicted))


def _multilabel(rows: LabelledRows, answers: pd.DataFrame, values: Sequence[object], classes: ClassNames) -> TaskScores:
    if not all(isinstance(value, list) for value in values):
        raise TypeError("not a list of labels")
    given = [{_text(classes, label, typed=True) for label in value} for value in values if isinstance(value, list)]
    right = _label_sets(rows, answers, classes)
    labels = sorted(set().union(*given, *right))
    truth, predicted = (np.array([[label in each for label in labels] for each in sets], dtype=np.float64) for sets in (right, given))
    scores = TaskScores({}, counts=(truth * predicted, predicted, truth))
    exact = float(np.mean([one == other for one, other in zip(right, given, strict=True)]))
    return TaskScores({"macro_f1": scores.value(), "exact_match": exact}, counts=scores.counts)


def _label_sets(rows: LabelledRows, answers: pd.DataFrame, classes: ClassNames) -> list[set[str]]:
    """Return the right labels of each row: of one column that holds lists, or of one column for each label, true where it is right."""
    if len(answers.columns) > 1:
        flags = {str(name): [_flag(rows, value) for value in answers[name]] for name in answers.columns}
        return [{_text(classes, name, typed=False) for name, of_rows in flags.items() if of_rows[place]} for place in range(len(answers))]
    lists = [value.tolist() if hasattr(value, "tolist") else value for value in answers.iloc[:, 0]]
    if not all(isinstance(value, list | tuple) for value in lists):
        message = f"the column '{rows.labels[0]}' of {rows.source} does not hold lists of labels; name a column for each label"
        raise DataError(f"{message}, which holds 0 or 1", hint=f"{_AGAIN} --label COLUMN")
    return [{_text(classes, label, typed=True) for label in value} for value in lists]


def _flag(rows: LabelledRows, value: object) -> bool:
    text = str(value).strip().lower()
    if text not in {"0", "1", "0.0", "1.0", "true", "false"}:
        raise DataError(f"a column of the labels of {rows.source} holds something other than 0 and 1", hint=_AGAIN)
    return text in {"1", "1.0", "true"}


def _multioutput(rows: LabelledRows, answers: pd.DataFrame, values: Sequence[object], _: ClassNames) -> TaskScores:
    figures: dict[str, float] = {}
    losses = []
    if values and isinstance(values[0], Mapping) and (unknown := [name for name in answers.columns if name not in values[0]]):
        outputs = ", ".join(f"'{name}'" for name in values[0])
        message = f"the column '{unknown[0]}' of {rows.source} is no output of the model, which gives {outputs}"
        raise DataError(message, hint=f"{_AGAIN} --label COLUMN")
    for place, name in enumerate(map(str, answers.columns)):
        given, right = [_output(value, name, place) for value in values], answers.iloc[:, place]
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in given):
            truth, predicted = _numbers_of_file(rows, right), _numbers(given)
            found = regression_figures(truth, predicted)
            losses.append(np.abs(truth - predicted) / (float(truth.std()) or 1.0))
        else:
            names = ClassNames.of(sorted(set(given), key=str), {})
            wrong = np.array(names.texts_of(right.tolist(), typed=rows.typed) != names.texts_of(given, typed=True), dtype=np.float64)
            found = {"accuracy": float(1 - wrong.mean())}
            losses.append(wrong)
        figures |= {f"{figure}/{name}": value for figure, value in found.items()}
    for figure in ("mae", "rmse", "r2", "accuracy"):
        of_outputs = [value for name, value in figures.items() if name.startswith(f"{figure}/")]
        figures |= {figure: float(np.mean(of_outputs))} if of_outputs else {}
    return TaskScores(figures, losses=np.mean(losses, axis=0))


def _output(value: object, name: str, place: int) -> object:
    if isinstance(value, Mapping):
        return value[name]
    if not isinstance(value, list):
        raise TypeError("not several outputs")
    return value[place]


def _alone(value: object) -> object:
    """Return the number of a model that gives one named output, or a list of one."""
    if isinstance(value, Mapping) and len(value) == 1:
        return next(iter(value.values()))
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _numbers(values: Sequence[object]) -> Numbers:
    found = np.asarray([float(value) if isinstance(value, int | float | str) else math.nan for value in values], dtype=np.float64)
    if not np.isfinite(found).all():
        raise ValueError("not a number for each row")
    return found


def _numbers_of_file(rows: LabelledRows, values: pd.Series) -> Numbers:
    try:
        return _numbers([value.strip().replace(",", ".") if isinstance(value, str) and not rows.typed else value for value in values])
    except (ValueError, TypeError):
        raise DataError(f"the column '{values.name}' of {rows.source} does not hold a number in each row", hint=_AGAIN) from None


def _text(classes: ClassNames, label: object, *, typed: bool) -> str:
    return str(classes.texts_of([label], typed=typed)[0])


_BY_TASK: Mapping[str, Callable[[LabelledRows, pd.DataFrame, Sequence[object], ClassNames], TaskScores]] = {
    "regression": _regression,
    "multilabel": _multilabel,
    "multioutput": _multioutput,
}
