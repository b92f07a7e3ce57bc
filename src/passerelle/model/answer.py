"""From the prediction for a record to the answer: the function behind serving, the gate and the replay of golden predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from passerelle.model.golden import Predict

Label = TypeVar("Label")
#: Number of classes in an answer, the most probable first.
TOP = 3


class ScoredRow(NamedTuple):
    """The prediction for one record.

    Attributes:
        label_index: Of the label, in the classes.
        probabilities: In the order of the classes; None for a model without probabilities.
        known_ngrams: Share of the record's n-grams that the model knows; None where a pipeline predicts.
    """

    label_index: int
    probabilities: Sequence[float] | None
    known_ngrams: float | None = None


class Answer(NamedTuple, Generic[Label]):
    """The answer to one record.

    Attributes:
        label: The class that the model gives.
        probability: Its probability; None for a model without probabilities.
        top: The most probable classes with their probabilities, the label first; empty for a model without probabilities.
        review: Whether a person should look: the probability is under the review threshold.
    """

    label: Label
    probability: float | None
    top: list[tuple[Label, float]]
    review: bool


def plain_label(label: object) -> str | bool | int | float:
    """Return a class as JSON has it; what is neither a text, a number nor a boolean as its text."""
    item = getattr(label, "item", None)
    plain = item() if callable(item) else label
    return plain if isinstance(plain, str | bool | int | float) else str(plain)


def label_text(label: object) -> str:
    """Return the text by which metrics and the prediction log name a label."""
    return label if isinstance(label, str) else str(label)


def answer_of(row: ScoredRow, labels: Sequence[Label], *, review_threshold: float = 0.0) -> Answer[Label]:
    """Return the answer for a row.

    Args:
        row: What the model says.
        labels: The model's classes, in the order of the row's probabilities.
        review_threshold: A label that is less probable is for a person to look at.
    """
    index, values = row.label_index, row.probabilities
    if values is None:
        return Answer(labels[index], None, [], review=False)
    order = sorted(range(len(values)), key=values.__getitem__, reverse=True)
    if order[0] != index:  # a tie, in which the pipeline gives another of the two
        order.remove(index)
        order.insert(0, index)
    probability = values[index]
    return Answer(labels[index], probability, [(labels[place], values[place]) for place in order[:TOP]], probability < review_threshold)


def predict_with(rows: Callable[[Sequence[Mapping[str, object]]], list[ScoredRow]], classes: Sequence[object]) -> Predict:
    """Return a predict function for the golden predictions, over a function from records to rows."""

    def predict(records: Sequence[Mapping[str, object]]) -> tuple[Sequence[object], Sequence[Sequence[float]] | None]:
        scored = rows(records)
        probabilities = [row.probabilities for row in scored if row.probabilities is not None]
        return [answer_of(row, classes).label for row in scored], probabilities if len(probabilities) == len(scored) else None

    return predict
