"""The schemas of what the service answers, made from the model's task, its outputs and its labels, with an example of each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, create_model

from passerelle.names import CLASSIFY, CLASSIFY_BATCH, PREDICT, PREDICT_BATCH

if TYPE_CHECKING:
    from passerelle.model.mlmodel import ModelDescription

#: A label as answers have it.
Label = str | bool | int | float
_PYTHON: Mapping[str, Any] = {
    "string": str,
    **dict.fromkeys(("boolean", "bool"), bool),
    **dict.fromkeys(("integer", "long"), int),
    **dict.fromkeys(("float", "double"), float),
    **dict.fromkeys(("str", "object"), str),
}


class LabelProbability(BaseModel):
    """One class with its probability."""

    label: str
    probability: float = Field(ge=0, le=1)


class Prediction(BaseModel):
    """The answer to one record."""

    label: str = Field(description="The class that the model gives.")
    probability: float | None = Field(description="Its probability; null for a model without probabilities.")
    top: list[LabelProbability] = Field(description="The best three classes, the most probable first.")
    model_version: str = Field(description="The version of the registered model that gave this answer.")
    prediction_id: str = Field(description="Names this answer in logs, feedback and traces.")
    review: bool = Field(description="Whether a person should look: the probability is under the review threshold.")


class BatchPrediction(BaseModel):
    """The answers to the records of a batch, in their order."""

    predictions: list[Prediction]


class AnswerSchemas(NamedTuple):
    """The schemas of a model's answers, and where it gives them.

    Attributes:
        one: Of the answer to one record.
        batch: Of the answers to a batch.
        path: That answers one record.
        batch_path: That answers a batch.
        verb: What the operations do with a record.
        summary: What the service does, as its description begins.
        texts: Whether a label is a text without a name beside.
    """

    one: type[BaseModel]
    batch: type[BaseModel]
    path: str
    batch_path: str
    verb: str = "Classify"
    summary: str = "Classifies"
    texts: bool = False

    @property
    def name(self) -> str:
        """The name of the operation that answers one record."""
        return self.path.strip("/")

    @property
    def batch_name(self) -> str:
        """The name of the operation that answers a batch."""
        return self.batch_path.strip("/").replace("/", "_")


def answers_of(description: ModelDescription, classes: Sequence[object] | None = None) -> AnswerSchemas:
    """Return the schemas of a model's answers.

    Args:
        classes: The labels of a model that is loaded; by default, the signature says of which type they are.
    """
    if description.task != "classification":
        one = _predicted(description)
        return AnswerSchemas(one, _batch_of(one), PREDICT, PREDICT_BATCH, "Predict for", "Predicts for")
    label = _label_type(description, classes)
    named = description.adoption is not None and bool(description.adoption.labels)
    if label is str and not named:
        return AnswerSchemas(Prediction, BatchPrediction, CLASSIFY, CLASSIFY_BATCH, texts=True)
    one = _classified(label, named=named)
    return AnswerSchemas(one, _batch_of(one), CLASSIFY, CLASSIFY_BATCH)


def _label_type(description: ModelDescription, classes: Sequence[object] | None) -> Any:
    if classes:
        kinds = {type(label) for label in classes}
        return kinds.pop() if len(kinds) == 1 else Label
    outputs = list(_output_types(description.signature).values())
    if len(outputs) == 1 and outputs[0] is not Any:
        return outputs[0]
    return str if description.adoption is None else Label


def _output_types(signature: Mapping[str, Any]) -> dict[str, Any]:
    """Return the type of each output that the signature names, by its name; `Any` for what is no scalar."""
    try:
        entries = json.loads(signature.get("outputs") or "[]")
        return {str(entry.get("name", place)): _output_type(entry) for place, entry in enumerate(entries)}
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return {}


def _output_type(entry: Mapping[str, Any]) -> Any:
    if entry["type"] != "tensor":
        return _PYTHON.get(entry["type"], Any)
    tensor = entry["tensor-spec"]
    if len(tensor["shape"]) != 1:
        return Any
    kind = str(tensor["dtype"])
    number = int if kind.startswith(("int", "uint")) else float if kind.startswith("float") else Any
    return _PYTHON.get(kind, number)


def _classified(label: Any, *, named: bool) -> type[BaseModel]:
    name: dict[str, Any] = {"label_name": (str | None, Field(description="The name of the class."))} if named else {}
    of_one: dict[str, Any] = {"label": (label, ...), **name, "probability": (float, Field(ge=0, le=1))}
    single: Any = create_model("LabelProbability", __doc__=LabelProbability.__doc__, **of_one)
    fields: dict[str, Any] = {"label": (label, Prediction.model_fields["label"]), **name}
    for each, info in Prediction.model_fields.items():
        if each != "label":
            fields[each] = (list[single], info) if each == "top" else (info.annotation, info)
    return create_model("Prediction", __doc__=Prediction.__doc__, __config__=ConfigDict(strict=True), **fields)


def _predicted(description: ModelDescription) -> type[BaseModel]:
    outputs = _output_types(description.signature)
    if description.task == "multilabel":
        of_one: dict[str, Any] = {
            "label": (Label, ...),
            **({"label_name": (str | None, ...)} if description.adoption and description.adoption.labels else {}),
            "probability": (float | None, Field(ge=0, le=1, description="Of the label; null for a model without probabilities.")),
            "given": (bool, Field(description="Whether the model gives the label.")),
        }
        single: Any = create_model("LabelGiven", __doc__="One label, and whether the model gives it.", **of_one)
        value: dict[str, Any] = {"labels": (list[single], Field(description="Each label of the model."))}
    else:
        value = {"prediction": (_value_type(description.task, outputs), Field(description="The output of the model, by its schema."))}
    closing: dict[str, Any] = {each: (str, Prediction.model_fields[each]) for each in ("model_version", "prediction_id")}
    return create_model("Prediction", __doc__=Prediction.__doc__, **value, **closing)


def _value_type(task: str, outputs: Mapping[str, Any]) -> Any:
    if task == "multioutput" and len(outputs) > 1:
        nullable: dict[str, Any] = {
            f"output_{place}": (kind | None if kind is not Any else Any, Field(alias=name))
            for place, (name, kind) in enumerate(outputs.items())
        }
        return create_model("Outputs", __doc__="The outputs of the model by their names.", **nullable)
    if task == "regression":
        kind = next(iter(outputs.values()), float)
        return (int if kind is int else float) | None
    return int if task == "clustering" else Any


def _batch_of(one: Any) -> type[BaseModel]:
    return create_model("BatchPrediction", __doc__=BatchPrediction.__doc__, predictions=(list[one], ...))


def answer_example(description: ModelDescription, classes: Sequence[object] | None = None) -> dict[str, object]:
    """Return an answer for the documentation.

    Args:
        classes: As of `answers_of`.
    """
    closing = {"model_version": "3", "prediction_id": "0199719b-9a00-7c4d-a6ff-eaa09f86d081"}
    if description.task != "classification":
        return {**_value_example(description, classes), **closing}
    names = {} if description.adoption is None else dict(description.adoption.labels)
    kind = _label_type(description, classes)
    examples: Mapping[Any, tuple[Any, Any]] = {int: (1, 0), bool: (True, False), float: (1.0, 0.0)}
    labels = examples.get(kind, ("Pb de suivi /Délai", "Accueil / Relation usager"))
    if names:
        labels = tuple((*(json.loads(label) for label in names), *labels)[:2])
    named = [{"label": label, **({"label_name": names.get(json.dumps(label, ensure_ascii=False))} if names else {})} for label in labels]
    top = [{**label, "probability": probability} for label, probability in zip(named, (0.83, 0.06), strict=True)]
    return {**top[0], "top": top, **closing, "review": False}


def _value_example(description: ModelDescription, classes: Sequence[object] | None) -> dict[str, object]:
    outputs = _output_types(description.signature)
    if description.task == "multilabel":
        label = next(iter(classes or ()), "Voirie")
        return {"labels": [{"label": label, "probability": 0.83, "given": True}]}
    if description.task == "multioutput" and len(outputs) > 1:
        return {"prediction": {name: {str: "a", bool: True, int: 3}.get(kind, 3.2) for name, kind in outputs.items()}}
    return {"prediction": 3 if description.task == "clustering" or int in outputs.values() else 3.2}
