"""The finding about a challenger next to the version in production."""

from __future__ import annotations

from passerelle.criteria import Champion
from passerelle.gate.finding import Finding, finding_of, message_of
from passerelle.gate.interval import DifferenceInterval
from passerelle.gate.recipes import RecipeDifference


def limit_of(rule: Champion) -> str:
    """Return what the lower end of the interval must be."""
    return "> 0" if rule.superior else f"≥ -{rule.margin:g}"


def interval_text(difference: DifferenceInterval | RecipeDifference) -> str:
    """Return the difference with its interval."""
    return f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"


def next_to_champion(difference: DifferenceInterval, rule: Champion, version: int | None) -> Finding:
    """Return whether the challenger is as good as the champion, or better where it must be: passed, failed, or too few rows to tell.

    Args:
        version: Of the champion.
    """
    limit, text, compared = limit_of(rule), interval_text(difference), difference.compared(rule)
    if compared == "passed" or (compared == "too_few" and rule.too_few == "accept"):
        return finding_of("champion", text, limit, [])
    needed = difference.rows_to_tell(rule)
    key = compared if compared != "too_few" or needed else "too_few_ever"
    seen = f"{difference.seen(rule):+.3f}"
    values = {"version": version, "figure": difference.metric, "difference": text, "asked": limit, "seen": seen, "judged": difference.rows}
    problem = message_of(key, **values, needed=f"{needed:,}" if needed else "")
    return Finding("champion", False, text, limit, (problem,), unknown=compared == "too_few" and rule.too_few == "reason")
