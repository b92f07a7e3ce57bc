"""The one place that turns the answers of the batch path into what foreign protocols answer with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

if TYPE_CHECKING:
    from passerelle.model.mlmodel import ModelDescription

Datatype = Literal["BYTES", "BOOL", "INT64", "FP64"]


class NamedOutput(NamedTuple):
    """One output of the model.

    Attributes:
        values: One for each record; a list for an output of several numbers or labels.
    """

    name: str
    datatype: Datatype
    values: Sequence[Any]


#: The outputs of a classifier, of a model that gives several labels, and of any other.
LABEL, PROBABILITY, GIVEN, PREDICTION = "label", "probability", "given", "prediction"
_OF_SIGNATURE: Mapping[str, Datatype] = {
    "boolean": "BOOL", "integer": "INT64", "long": "INT64", "float": "FP64", "double": "FP64",
}  # fmt: skip


def outputs_of(answer: Mapping[str, Any]) -> list[NamedOutput]:
    """Return the outputs in an answer of the batch path, the prediction itself first.

    Args:
        answer: Its `predictions` have a `label`, or each of several `labels`, or a `prediction`, which is a number, a text, a list
            or an object of named outputs; and probabilities unless the model has none.
    """
    predictions = answer["predictions"]
    if LABEL in predictions[0]:
        return [_output(LABEL, [each[LABEL] for each in predictions]), *_probabilities([each[PROBABILITY] for each in predictions])]
    if "labels" in predictions[0]:
        rows = [each["labels"] for each in predictions]
        given = NamedOutput(GIVEN, "INT64", [[int(label[GIVEN]) for label in row] for row in rows])
        return [given, *_probabilities([[label[PROBABILITY] for label in row] for row in rows])]
    values = [each[PREDICTION] for each in predictions]
    if values[0] and all(isinstance(value, dict) and value.keys() == values[0].keys() for value in values):
        return [_output(name, [value[name] for value in values]) for name in values[0]]
    return [_output(PREDICTION, values)]


def rows_of(outputs: Sequence[NamedOutput]) -> Sequence[Any]:
    """Return the prediction for each record, as MLflow's server has it: an object where there are several named outputs."""
    named = [output for output in outputs if output.name != PROBABILITY or outputs[0].name not in (LABEL, GIVEN)]
    if len(named) == 1:
        return named[0].values
    return [{output.name: output.values[place] for output in named} for place in range(len(named[0].values))]


def tensor_data(output: NamedOutput) -> tuple[list[int], list[Any]]:
    """Return the shape and the flat data of an output; what is no array of its datatype becomes JSON texts."""
    values = list(output.values)
    if values and all(isinstance(value, list) and value and len(value) == len(values[0]) for value in values):
        flat = [each for value in values for each in value]
        if not any(isinstance(each, list | dict) for each in flat):
            return [len(values), len(values[0])], flat
    if output.datatype == "BYTES":
        values = [value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in values]
    return [len(values)], values


def described_outputs(description: ModelDescription, labels: Sequence[object]) -> list[tuple[str, Datatype, bool]]:
    """Return name and datatype of each output that a model has, and whether it has a value for each of several labels.

    Args:
        labels: Of the model; empty for one without.
    """
    task = description.task
    if task == "classification":
        return [(LABEL, datatype_of(list(labels)), False), (PROBABILITY, "FP64", False)]
    if task == "multilabel":
        return [(GIVEN, "INT64", True), (PROBABILITY, "FP64", True)]
    named = list(_of_signature(description.signature))
    if task == "multioutput" and len(named) > 1:
        return [(name, datatype, False) for name, datatype in named]
    return [(PREDICTION, named[0][1] if named else "INT64" if task == "clustering" else "FP64", False)]


def datatype_of(values: Sequence[object]) -> Datatype:
    """Return the tensor datatype of values that are all texts, truth values, whole numbers or numbers; BYTES for any others."""
    kinds = {type(each) for value in values for each in (value if isinstance(value, list) else [value])}
    for kinds_of_type, datatype in (({bool}, "BOOL"), ({int}, "INT64"), ({int, float, type(None)}, "FP64")):
        if kinds and kinds <= kinds_of_type:
            return cast("Datatype", datatype)
    return "BYTES"


def _output(name: str, values: Sequence[Any]) -> NamedOutput:
    return NamedOutput(name, datatype_of(values), values)


def _probabilities(values: Sequence[Any]) -> list[NamedOutput]:
    without = any(value is None or (isinstance(value, list) and None in value) for value in values)
    return [] if without else [NamedOutput(PROBABILITY, "FP64", values)]


def _of_signature(signature: Mapping[str, Any]) -> Iterator[tuple[str, Datatype]]:
    """Yield name and datatype of each output that the signature names."""
    try:
        entries = json.loads(signature.get("outputs") or "[]")
        for place, entry in enumerate(entries):
            yield str(entry.get("name", place)), _OF_SIGNATURE.get(str(entry["type"]), "FP64" if entry["type"] == "tensor" else "BYTES")
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return
