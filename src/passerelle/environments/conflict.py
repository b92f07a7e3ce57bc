"""Why no versions satisfy the requirements of a model: the line that stands in the way, uv's words, and the way out."""

from __future__ import annotations

import re
from collections.abc import Sequence

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from passerelle.environments.uv import UvFailure
from passerelle.errors import OutsideError, PasserelleError, UsageError

_ADOPT = "passerelle adopt models:/NAME/VERSION"
_NOT_REACHED = re.compile(
    r"Failed to fetch|error sending request|dns error|Could not connect|HTTP status (?:client|server) error|timed out"
)


def unresolved(failure: UvFailure, packages: Sequence[Requirement], python: str) -> PasserelleError:
    """Return the error for what uv said.

    Args:
        failure: What it said.
        packages: What it was to resolve.
        python: For which version.
    """
    said_by_uv = "\n".join(failure.lines)
    if _NOT_REACHED.search(said_by_uv):
        return OutsideError(f"a package index does not answer:\n{failure.text}", hint="pip index versions pip")
    line = _in_the_way(said_by_uv, packages)
    name = line.name if line is not None else "PACKAGE"
    message = f"no versions satisfy the model's requirements for Python {python}"
    message += f": the line « {line} » stands in the way\n{failure.text}" if line is not None else f"\n{failure.text}"
    return UsageError(message, hint=_hint(said_by_uv, name))


def _in_the_way(text: str, packages: Sequence[Requirement]) -> Requirement | None:
    """Return the requirement of the model that another package limits otherwise, or else the last one that uv names."""
    places = [(place, each) for each in packages if (place := _last_place(text, each)) >= 0]
    limited = [found for found in places if _limits(text, found[1].name)]
    return max(limited or places, key=lambda found: found[0])[1] if places else None


def _limits(text: str, name: str) -> list[str]:
    """Return the versions that other packages take of this one, as uv names them."""
    return re.findall(rf"depends on {re.escape(name)}([<>=!~][^\s]*?)(?:,? and|\s|$)", text)


def _last_place(text: str, requirement: Requirement) -> int:
    name = re.escape(canonicalize_name(requirement.name)).replace(r"\-", "[-_.]")
    found = [each.start() for each in re.finditer(rf"(?<!conclude that )you require {name}(?![\w-])", text, re.IGNORECASE)]
    return found[-1] if found else -1


def _hint(text: str, name: str) -> str:
    """Return the commands that lead on: versions that the other packages take, another Python, or another index."""
    if f"{name} was not found in the package registry" in text or "was not found in the package registry" in text:
        without = f"{_ADOPT} --override '{name} ; python_version < \"3\"'"
        return f"UV_INDEX=https://ADDRESS/simple {_ADOPT}\n{without}"
    if "no usable wheels" in text or "no wheels with a matching" in text:
        return f"{_ADOPT} --override '{name}>=VERSION'\n{_ADOPT} --python 3.11"
    limits = _limits(text, name)
    return f"{_ADOPT} --override '{name}{limits[-1] if limits else '==VERSION'}'"
