"""Records that lie by column, as a table holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import overload

from passerelle.errors import DataError


@dataclass(frozen=True)
class RecordColumns(Sequence[Mapping[str, object]]):
    """Records that all have the same fields: a sequence of them that holds no object for each.

    Attributes:
        columns: The values of each field, one for each record.
        size: How many records there are.
    """

    columns: Mapping[str, Sequence[object]]
    size: int

    def __len__(self) -> int:
        """Return how many records there are."""
        return self.size

    @overload
    def __getitem__(self, place: int) -> Mapping[str, object]: ...
    @overload
    def __getitem__(self, place: slice) -> RecordColumns: ...
    def __getitem__(self, place: int | slice) -> Mapping[str, object] | RecordColumns:
        """Return a record, or some of them."""
        if isinstance(place, slice):
            return RecordColumns({name: values[place] for name, values in self.columns.items()}, len(range(self.size)[place]))
        at = range(self.size)[place]
        return {name: values[at] for name, values in self.columns.items()}


def texts_of(records: Sequence[Mapping[str, object]], column: str) -> list[str]:
    """Return the texts of a field, one for each record.

    Raises:
        DataError: A record lacks the field or does not hold text in it.
    """
    if isinstance(records, RecordColumns) and column in records.columns:
        values: Sequence[object] = records.columns[column]
    else:
        values = [record.get(column) for record in records]
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) < len(values):
        raise no_text(column)
    return texts


def no_text(column: str) -> DataError:
    """Return the error of a record without a text that the model reads."""
    return DataError(f"The record's field '{column}' holds no text.")
