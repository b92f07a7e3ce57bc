"""The trees of Parquet files that the log's lines go to, and their columns."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final, NamedTuple

from passerelle.monitoring.prediction_log.log_place import PARQUET
from passerelle.monitoring.prediction_log.record import LoggedFeedback, LoggedPrediction

#: Columns that hold text, which has files of its own with a shorter retention.
_TEXTS = ("fields", "comment")
_ARROW = {"str": "string", "float": "double", "int": "int64", "bool": "bool", "Mapping[str, object]": "string"}


class Tree(NamedTuple):
    """Files of one kind, in a folder a day.

    Attributes:
        name: Of its folder.
        kind: What the names of the files begin with that its rows come from: `predictions` or `feedback`.
        key: Columns that tell its rows apart; of rows with the same values, readers keep one.
        columns: By name, the type as Arrow names it; `fields` is the record as a JSON text.
        texts: Columns of which one must have a value, else the line has no row here; empty where each line has one.
    """

    name: str
    kind: str
    key: tuple[str, ...]
    columns: Mapping[str, str]
    texts: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """The folder of all its days."""
        return f"{PARQUET}/{self.name}"

    def partition(self, day: date) -> str:
        """Return the folder of a day."""
        return f"{self.folder}/dt={day.isoformat()}"


def _types(record: type[NamedTuple]) -> Mapping[str, str]:
    """Return the Arrow type of each field of a record."""
    annotations = {name: getattr(kind, "__forward_arg__", kind) for name, kind in record.__annotations__.items()}
    return {name: _ARROW[str(kind).removesuffix(" | None")] for name, kind in annotations.items()}


def _only(types: Mapping[str, str], *names: str) -> Mapping[str, str]:
    return {name: types[name] for name in names}


def _without(types: Mapping[str, str], *names: str) -> Mapping[str, str]:
    return {name: kind for name, kind in types.items() if name not in names}


_PREDICTION, _FEEDBACK = _types(LoggedPrediction), _types(LoggedFeedback)
PREDICTIONS: Final = Tree("predictions", "predictions", ("prediction_id",), _without(_PREDICTION, *_TEXTS, "redaction"))
TEXTS: Final = Tree(
    "texts", "predictions", ("prediction_id",), _only(_PREDICTION, "prediction_id", "redaction", "fields", "schema"), ("fields",)
)
FEEDBACK: Final = Tree("feedback", "feedback", ("prediction_id", "by", "at", "label"), _without(_FEEDBACK, *_TEXTS, "redaction"))
FEEDBACK_TEXTS: Final = Tree(
    "feedback_texts",
    "feedback",
    ("prediction_id", "by", "at"),
    _only(_FEEDBACK, "prediction_id", "by", "at", "comment", "redaction", "fields", "schema"),
    _TEXTS,
)
TREES: Final = (PREDICTIONS, TEXTS, FEEDBACK, FEEDBACK_TEXTS)


def day_in(name: str) -> date | None:
    """Return the day of a file in a partition by its name; None where the name holds none."""
    for part in name.split("/"):
        if part.startswith("dt="):
            try:
                return date.fromisoformat(part[3:])
            except ValueError:
                return None
    return None
