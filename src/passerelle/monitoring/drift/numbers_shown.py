"""Figures as people read them, in French and in English."""

from __future__ import annotations

from datetime import date
from typing import Literal

from passerelle.monitoring.drift.rules import Measure

Language = Literal["fr", "en"]
_NO_BREAK, _NARROW_NO_BREAK = "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}"
NONE = "—"
_LEAST_P = 0.001


def number(value: float | None, language: Language, decimals: int = 0) -> str:
    """Return a number: 1 234,5 in French, 1,234.5 in English."""
    if value is None:
        return NONE
    text = f"{value:,.{decimals}f}"
    return text.replace(",", _NARROW_NO_BREAK).replace(".", ",") if language == "fr" else text


def percentage(value: float | None, language: Language, decimals: int = 1) -> str:
    """Return a share as a percentage."""
    if value is None:
        return NONE
    return number(100 * value, language, decimals) + (f"{_NO_BREAK}%" if language == "fr" else "%")


def figure(measure: Measure, value: float | None, language: Language) -> str:
    """Return a figure in its unit."""
    if value is None:
        return NONE
    if measure == "length":
        return number(value, language, 1) + (f"{_NO_BREAK}mots" if language == "fr" else " words")
    if measure == "latency":
        return number(value, language, 2) + (f"{_NO_BREAK}ms" if language == "fr" else " ms")
    return percentage(value, language)


def probability(value: float | None, language: Language) -> str:
    """Return a p-value, which is not told apart below a thousandth."""
    if value is None:
        return NONE
    text = number(max(value, _LEAST_P), language, 3)
    if value >= _LEAST_P:
        return text
    return f"<{_NO_BREAK}{text}" if language == "fr" else f"<{text}"


def calendar_day(day: date, language: Language) -> str:
    """Return a day: 31/01/2026 in French, 2026-01-31 in English."""
    return day.strftime("%d/%m/%Y") if language == "fr" else day.isoformat()
