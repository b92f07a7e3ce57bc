"""What a terminal can show: how wide it is, whether it shows colours, and lines that end between two words."""

from __future__ import annotations

import os
import re
import shutil
import textwrap
from enum import StrEnum
from typing import IO

_DIGEST = re.compile(r"(?<![0-9A-Za-z])(?P<kind>sha256:)?(?P<digits>[0-9a-f]{40}([0-9a-f]{24})?)(?![0-9A-Za-z])")
_HEAD, _TAIL = 12, 6
#: What a line begins with whose rest is typed; a line of its own for a command is indented.
_COMMAND = re.compile(r"\s*(next|or|try it): |\s+(?=(curl|eval|make|\S*passerelle) )")
#: A quoted word stays beside its marks.
_BESIDE_MARKS = re.compile(r"(?<=«) | (?=»)")
_NO_BREAK = "\N{NO-BREAK SPACE}"
#: The first of two columns: a name and, after two spaces or more, what is said of it.
_NAMED = re.compile(r"\s*\S.*?\s{2,}(?=\S)")
_WIDEST_NAME = 30


class Tone(StrEnum):
    """What a colour says; its value is the colour's name."""

    GOOD = "green"
    BAD = "red"
    WARNING = "yellow"


def terminal_width(stream: IO[str]) -> int | None:
    """Return how many columns the terminal has; None where the stream is none, and lines are not wrapped."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def shows_colours(stream: IO[str]) -> bool:
    """Return whether to write colours: in a terminal, unless NO_COLOR is set; elsewhere if FORCE_COLOR is set."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (stream.isatty() and os.environ.get("TERM") != "dumb")


def shortened(text: str) -> str:
    """Return the text with each digest cut in the middle."""
    return _DIGEST.sub(lambda found: f"{found['kind'] or ''}{found['digits'][:_HEAD]}…{found['digits'][-_TAIL:]}", text)


def wrapped(text: str, width: int | None) -> str:
    """Return the text with lines of this width at most, broken between words; a command goes on after a backslash.

    A word that is longer than a line stays whole, so that it can be selected and copied.
    """
    if width is None:
        return text
    return "\n".join(_wrapped_line(line, width) for line in text.split("\n"))


def _wrapped_line(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    command = _COMMAND.match(line)
    if command is not None:
        # Between single quotes, a backslash is no continuation.
        return line if "'" in line else _broken(line, width - 2, command.end(), " \\\n")
    line = shortened(line)
    named = _NAMED.match(line)
    indent = len(line) - len(line.lstrip()) + 2
    return _broken(line, width, named.end() if named is not None and named.end() <= _WIDEST_NAME else indent, "\n")


def _broken(line: str, width: int, indent: int, separator: str) -> str:
    wrapper = textwrap.TextWrapper(width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
    return separator.join(wrapper.wrap(_BESIDE_MARKS.sub(_NO_BREAK, line))).replace(_NO_BREAK, " ")
