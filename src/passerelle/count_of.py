"""Counts with their nouns, as messages have them."""

from __future__ import annotations


def count_of(count: int, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun, such as `1 entry` or `2,000 entries`."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"
