"""Boosters, which give probabilities or numbers and know no labels."""

from __future__ import annotations

from typing import Callable

from passerelle.model.host.outputs import OutputNames, numbers, plain
from passerelle.model.host.values import Foreign

_TWO = 2
_HALF = 0.5


class Booster:
    """Answers with the probabilities of a classifier, and the number of the most probable class as its label; or with numbers.

    Args:
        predict: From a table to the probability of class 1, to those of all classes, or to numbers.
        count: How many classes there are; None for what is no classifier.
        task: What it does where it is none.
        names: Of the outputs.

    Attributes:
        task: What it does with a record.
        classes: 0, 1, … as far as there are classes.
    """

    def __init__(self, predict: Callable[..., Foreign], count: int | None, task: str, names: OutputNames) -> None:
        self._predict = predict
        self._names = names
        self.task = task if count is None else "classification"
        self.classes: list[object] | None = None if count is None else list(range(count))

    def predict(self, table: Foreign, params: dict[str, object]) -> tuple[list[object], list[list[float]] | None]:
        """Return the value of each record, and the probabilities of the classes, or None without any."""
        predicted = self._predict(table, **params)
        if self.classes is None:
            wide = getattr(predicted, "ndim", 1) == _TWO and predicted.shape[1] > 1
            self.task = "multioutput" if wide else self.task
            return (self._names.rows(predicted) if wide else plain(predicted)), None
        if getattr(predicted, "ndim", 1) == _TWO:
            return predicted.argmax(axis=1).tolist(), numbers(predicted)
        second = predicted.astype("float64").tolist()
        return [int(each > _HALF) for each in second], [[1.0 - each, each] for each in second]

    def quick(self, given: Foreign) -> tuple[list[object], list[list[float]] | None]:
        """Return what `predict` returns, of an array of numbers too."""
        return self.predict(given, {})
