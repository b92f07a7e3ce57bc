"""The labels of a model as texts, and the values of a file as labels of that model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: How an error names the type of a label.
_TYPES: Mapping[type, str] = {bool: "truth value", int: "integer", float: "number", str: "text"}
_NAMED = 5


@dataclass(frozen=True)
class ClassNames:
    """The classes of one model, and the text for each.

    Attributes:
        classes: As the model has them: an integer 0 is another label than the text "0".
        texts: For each class, in their order: its name where adoption recorded one, else the label itself; no two are the same.
    """

    classes: tuple[object, ...]
    texts: tuple[str, ...]

    @classmethod
    def of(cls, classes: Sequence[object], names: Mapping[str, str]) -> ClassNames:
        """Return the texts of these classes.

        Args:
            classes: In Python's types.
            names: The name of each label, by the label as JSON.
        """
        by_label = {_key(json.loads(label)): name for label, name in names.items()}
        texts = [by_label.get(_key(each), str(each)) for each in classes]
        if len(set(texts)) < len(texts):
            texts = [json.dumps(each, ensure_ascii=False, default=str) for each in classes]
        return cls(tuple(classes), tuple(texts))

    def place_of(self, value: object, *, typed: bool) -> int | None:
        """Return the place of the class that a value of a file is; None where it is none of them.

        Args:
            value: A cell.
            typed: Whether the file keeps types, as Parquet does; a cell of a CSV file may be a label of any type.
        """
        if isinstance(value, str) and value in self.texts:
            place = self.texts.index(value)
            if not typed or isinstance(self.classes[place], str) or self.texts[place] != str(self.classes[place]):
                return place
        for place, label in enumerate(self.classes):
            if _key(label) == _key(value) or (not typed and isinstance(value, str) and _is_written(label, value)):
                return place
        return None

    def texts_of(self, values: Sequence[object], *, typed: bool) -> NDArray[np.str_]:
        """Return the text of each value's class; of a value that is no class, a text that no class has."""
        return np.asarray([self._text(value, self.place_of(value, typed=typed)) for value in values], dtype=str)

    def _text(self, value: object, place: int | None) -> str:
        if place is not None:
            return self.texts[place]
        return f"{value} ({type_of(value)})" if str(value) in self.texts else str(value)

    def __str__(self) -> str:
        first = ", ".join(f"'{text}'" for text in self.texts[:_NAMED]) + (", …" if len(self.texts) > _NAMED else "")
        return f"{first} ({', '.join(sorted({type_of(each) for each in self.classes}))})"


def type_of(value: object) -> str:
    """Return the type of a label, for an error."""
    return _TYPES.get(type(value), type(value).__name__)


def _key(value: object) -> tuple[str, object]:
    """Return what is the same for the same label: 1, 1.0 and True are equal in Python."""
    if isinstance(value, bool):
        return "truth value", value
    if isinstance(value, int | float):
        return "number", float(value)
    return type(value).__name__, value


def _is_written(label: object, text: str) -> bool:
    if isinstance(label, bool):
        return text.strip().lower() == str(label).lower()
    if isinstance(label, int | float):
        try:
            return float(text) == label
        except ValueError:
            return False
    return False
