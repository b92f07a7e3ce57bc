"""Why no versions satisfy the requirements of a model: the line that stands in the way, uv's words, and the way out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from passerelle.environments.uv import UvFailure
from passerelle.errors import OutsideError, PasserelleError, UsageError

_ADOPT = "passerelle adopt models:/NAME/VERSION"
_NO_SUCH_PACKAGE = "was not found in the package registry"
_NO_WHEEL = ("no usable wheels", "no wheels with a matching")
_NOT_REACHED = re.compile(
    r"Failed to fetch|error sending request|dns error|Could not connect|HTTP status (?:client|server) error|timed out"
)


@dataclass(frozen=True)
class WayOut:
    """What an operator can say so that requirements resolve.

    Attributes:
        overrides: With which they resolve.
        python: For which they resolve as they stand.
    """

    overrides: tuple[Requirement, ...] = ()
    python: str | None = None


def unresolved(failure: UvFailure, packages: Sequence[Requirement], python: str, way_out: WayOut) -> PasserelleError:
    """Return the error for what uv said.

    Args:
        failure: What it said.
        packages: What it was to resolve.
        python: For which version.
        way_out: With what they would resolve.
    """
    if _NOT_REACHED.search(_text(failure)):
        return OutsideError(f"a package index does not answer:\n{failure.text}", hint="pip index versions pip")
    line = line_in_the_way(failure, packages)
    message = f"no versions satisfy the model's requirements for Python {python}"
    message += f": the line '{line}' stands in the way\n{failure.text}" if line is not None else f"\n{failure.text}"
    return UsageError(message, hint=_hint(failure, line, way_out))


def is_about_a_version(failure: UvFailure) -> bool:
    """Return whether another version of a package or of Python may help: the indexes answer, and have the packages."""
    text = _text(failure)
    return not _NOT_REACHED.search(text) and _NO_SUCH_PACKAGE not in text


def is_about_python(failure: UvFailure) -> bool:
    """Return whether another Python may help: a wheel is missing, or a package does not support this one."""
    text = _text(failure)
    return "Python version" in text or any(words in text for words in _NO_WHEEL)


def line_in_the_way(failure: UvFailure, packages: Sequence[Requirement]) -> Requirement | None:
    """Return the requirement of the model that another package limits otherwise, or else the last one that uv names."""
    text = _text(failure)
    places = [(place, each) for each in packages if (place := _last_place(text, each)) >= 0]
    limited = [found for found in places if limits_of(failure, found[1].name)]
    return max(limited or places, key=lambda found: found[0])[1] if places else None


def limits_of(failure: UvFailure, name: str) -> list[str]:
    """Return the versions that other packages take of this one, as uv names them."""
    return re.findall(rf"depends on {re.escape(name)}([<>=!~][^\s]*?)(?:,? and|\s|$)", _text(failure))


def _text(failure: UvFailure) -> str:
    return "\n".join(failure.lines)


def _last_place(text: str, requirement: Requirement) -> int:
    name = re.escape(canonicalize_name(requirement.name)).replace(r"\-", "[-_.]")
    found = [each.start() for each in re.finditer(rf"(?<!conclude that )you require {name}(?![\w-])", text, re.IGNORECASE)]
    return found[-1] if found else -1


def _hint(failure: UvFailure, line: Requirement | None, way_out: WayOut) -> str:
    """Return the commands that lead on: versions that resolve, a Python for which they do, another index, or to build a wheel."""
    name = line.name if line is not None else "PACKAGE"
    if _NO_SUCH_PACKAGE in _text(failure):
        without = f"{_ADOPT} --override '{name} ; python_version < \"3\"'"
        return f"UV_INDEX=https://ADDRESS/simple {_ADOPT}\n{without}"
    first = " --override ".join(f"'{each}'" for each in way_out.overrides)
    if first and way_out.python:
        return f"{_ADOPT} --override {first}\n{_ADOPT} --python {way_out.python}"
    if first or way_out.python:
        return f"{_ADOPT} --override {first}" if first else f"{_ADOPT} --python {way_out.python}"
    if line is not None and is_about_python(failure):
        return f"pip wheel --no-deps --wheel-dir wheels '{line}'; UV_FIND_LINKS=wheels {_ADOPT}"
    return f"{_ADOPT} --override '{name}==VERSION'"
