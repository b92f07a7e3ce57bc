"""The texts in the values of a record, and how much there is of all its values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


def texts_in(value: object) -> Iterator[str]:
    """Yield the texts of a value: itself, or the items of its arrays."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)


def size_of(record: Mapping[str, object]) -> int:
    """Return the characters of a record's texts and binary values, and the number of the items in its arrays."""
    return sum(_size_of(value) for value in record.values() if isinstance(value, str | list))


def _size_of(value: object) -> int:
    if isinstance(value, str):
        return len(value)
    # Not by a call for each array: a record that is not validated yet may have a thousand inside of each other.
    size, waiting = 0, [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting += each
        else:
            size += len(each) if isinstance(each, str) else 1
    return size
