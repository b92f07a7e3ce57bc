"""The texts of a record: the work that they take, and its limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from passerelle.model.text_limits import decomposed_length, text_fault
from passerelle.serving.contract import RequestError
from passerelle.serving.record_size import size_of, texts_in


class RecordTexts:
    """Checks the texts of records against their limits.

    Args:
        columns: The fields that hold text, or arrays of texts.
        most_characters: Longest text of one field.
        most_batch_characters: Most characters of all texts of a batch, once decomposed.
    """

    def __init__(self, columns: Sequence[str], *, most_characters: int, most_batch_characters: int) -> None:
        self._columns = tuple(columns)
        self._most_characters = most_characters
        self._most_batch_characters = most_batch_characters
        text_fault("\u0301")  # loads the Unicode tables before the first request

    def size_bytes(self, record: Mapping[str, object], place: str = "") -> int:
        """Return the length in UTF-8 of a record's texts.

        Args:
            record: Its texts are no longer than `most_characters`.
            place: Prefix of a field in a refusal.

        Raises:
            RequestError: 422, with the field: a text takes more work than its length allows.
        """
        size = 0
        for column in self._columns:
            text = record.get(column)
            if isinstance(text, str):
                size += self._size_bytes(text, place, column)
            elif isinstance(text, list):
                size += sum(self._size_bytes(item, place, column) for item in texts_in(text))
        return size

    def _size_bytes(self, text: str, place: str, column: str) -> int:
        if text.isascii():
            return len(text)
        fault = text_fault(text, most_characters=self._most_characters)
        if fault is not None:
            raise RequestError(422, "invalid_record", fault, f"{place}{column}")
        return len(text.encode("utf-8", "surrogatepass"))

    def characters(self, record: Mapping[str, object]) -> int:
        """Return the length of a record's texts once their characters are decomposed (Unicode NFKD)."""
        texts = (text for column in self._columns for text in texts_in(record.get(column)))
        return sum(len(text) if text.isascii() else decomposed_length(text) for text in texts)

    def check_batch(self, characters: int) -> None:
        """Check that the texts of a batch are not too long together.

        Args:
            characters: Of its records so far, as `characters` counts them.

        Raises:
            RequestError: 422.
        """
        if characters > self._most_batch_characters:
            message = f"holds more than {self._most_batch_characters} characters of text, once decomposed (Unicode NFKD)"
            raise RequestError(422, "invalid_record", message, "records")

    def parts(self, records: Sequence[Mapping[str, object]], most_characters: int) -> list[Sequence[Mapping[str, object]]]:
        """Return the records in parts, in their order; a part has at most that many characters and values, or is one record."""
        parts: list[list[Mapping[str, object]]] = []
        left = 0
        for record in records:
            characters = size_of(record)
            if not parts or characters > left:
                parts.append([])
                left = most_characters
            parts[-1].append(record)
            left -= characters
        return list(parts)
