"""The one place that turns the answers of the batch path into what foreign protocols answer with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, cast

Datatype = Literal["BYTES", "BOOL", "INT64", "FP64"]


class NamedOutput(NamedTuple):
    """One output of the model.

    Attributes:
        values: One for each record.
    """

    name: str
    datatype: Datatype
    values: Sequence[Any]


#: The names of a classifier's outputs, the prediction itself first.
LABEL, PROBABILITY = "label", "probability"


def outputs_of(answer: Mapping[str, Any]) -> list[NamedOutput]:
    """Return the outputs in an answer of the batch path, the prediction itself first.

    Args:
        answer: Of a classifier: its `predictions`, each with a label, and with a probability unless the model has none.
    """
    predictions = answer["predictions"]
    labels = [each[LABEL] for each in predictions]
    outputs = [NamedOutput(LABEL, datatype_of(labels), labels)]
    probabilities = [each[PROBABILITY] for each in predictions]
    return outputs if None in probabilities else [*outputs, NamedOutput(PROBABILITY, "FP64", probabilities)]


def datatype_of(values: Sequence[object]) -> Datatype:
    """Return the tensor datatype of values that are all texts, truth values, whole numbers or numbers; BYTES for any others."""
    kinds = {type(value) for value in values}
    for kinds_of_type, datatype in (({bool}, "BOOL"), ({int}, "INT64"), ({int, float}, "FP64")):
        if kinds and kinds <= kinds_of_type:
            return cast("Datatype", datatype)
    return "BYTES"


def described_outputs(labels: Sequence[object]) -> list[tuple[str, Datatype]]:
    """Return name and datatype of each output that a classifier with these labels has."""
    return [(LABEL, datatype_of(list(labels))), (PROBABILITY, "FP64")]
