"""Spaces at which a browser must not break a line of the gate's page."""

from __future__ import annotations

import re

_BETWEEN_TAGS = re.compile(r"(?<=>)[^<>]+(?=<)")
_LIMIT = re.compile(r"(?<=[≥≤]) (?=[-+\d])")
#: French sets these off by a space.
_SET_OFF = re.compile(r"(?<=«) | (?=»)| (?=[:;?!%](?:\s|$))")


def unbroken(page: str, *, french: bool) -> str:
    """Return the page with spaces that do not break within limits, and before and after French punctuation.

    Args:
        page: HTML, whose styles are left as they are.
    """
    head, end_of_style, body = page.rpartition("</style>")

    def spaced(text: re.Match[str]) -> str:
        found = _LIMIT.sub("\N{NO-BREAK SPACE}", text[0])
        return _SET_OFF.sub("\N{NO-BREAK SPACE}", found) if french else found

    return head + end_of_style + _BETWEEN_TAGS.sub(spaced, body)
