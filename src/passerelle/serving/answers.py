"""The answers: from what a model says of a record to the content of the response, and of the prediction log."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from passerelle.model.answer import ScoredRow, label_text
from passerelle.model.host.values import NUMBER
from passerelle.model.prediction_id import new_prediction_id

if TYPE_CHECKING:
    from passerelle.model.answer import Answer
    from passerelle.model.loaded import LoadedModel


class PredictedValue(NamedTuple):
    """The output of a model that is no classifier.

    Attributes:
        value: As JSON has it, by the model's task.
        probabilities: Of the labels, where the model gives several to a record; None without any.
    """

    value: object
    probabilities: Sequence[float] | None


#: What a model says of a record.
Row = ScoredRow | PredictedValue


def content_of(model: LoadedModel, row: Row, *, review_threshold: float) -> dict[str, Any]:
    """Return the answer to one record, as the contract of the model's task has it."""
    if isinstance(row, PredictedValue):
        return {
            **predicted(model, row.value, row.probabilities),
            "model_version": model.version,
            "prediction_id": new_prediction_id(model.prediction_prefix),
        }
    answer = model.answer(row, review_threshold=review_threshold)
    return {
        **classified(answer, model.description.label_names),
        "model_version": model.version,
        "prediction_id": new_prediction_id(model.prediction_prefix),
        "review": answer.review,
    }


def classified(answer: Answer[Any], names: Mapping[object, str] | None) -> dict[str, Any]:
    """Return the class, its probability and the best classes as an answer has them.

    Args:
        names: The name of each label; None where labels are their own names.
    """
    if names is None:
        top = [{"label": label, "probability": probability} for label, probability in answer.top]
        return {"label": answer.label, "probability": answer.probability, "top": top}
    top = [{"label": label, "label_name": names.get(label), "probability": probability} for label, probability in answer.top]
    return {"label": answer.label, "label_name": names.get(answer.label), "probability": answer.probability, "top": top}


def predicted(model: LoadedModel, value: object, probabilities: Sequence[float] | None) -> dict[str, Any]:
    """Return the output of a model that is no classifier as an answer has it.

    Args:
        model: That gave it.
        value: As the model's process has it: of several labels, those that the record gets.
        probabilities: Of each of the labels; None without any.
    """
    if model.description.task != "multilabel":
        return {"prediction": _plain(value)}
    given = {label_text(label) for label in value} if isinstance(value, list) else set()
    names, labels = model.description.label_names, []
    for place, label in enumerate(model.labels):
        name = {} if names is None else {"label_name": names.get(label)}
        probability = None if probabilities is None else probabilities[place]
        labels.append({"label": label, **name, "probability": probability, "given": label_text(label) in given})
    return {"labels": labels}


def logged(content: dict[str, Any], model: LoadedModel) -> dict[str, Any]:
    """Return an answer as metrics and the prediction log have it: each label by its text.

    A cluster counts as a label; the answers of other tasks have the empty one, since each may be another value.
    """
    label = content.get("label")
    if type(label) is str:
        return content
    task = model.description.task
    if task != "classification":
        named = label_text(content["prediction"]) if task == "clustering" else ""
        return {**content, "label": named, "probability": None, "top": [], "review": False}
    top = [{**each, "label": label_text(each["label"])} for each in content["top"]]
    return {**content, "label": label_text(label), "top": top}


def _plain(value: object) -> object:
    """Return a value as an answer has it: null for a number that is none, or is infinite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return None if set(value) == {NUMBER} else {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value
