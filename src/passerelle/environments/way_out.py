"""What an operator can say so that requirements resolve which do not as they stand: each is resolved before it is offered."""

from __future__ import annotations

from dataclasses import dataclass, replace

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from passerelle.environments.conflict import WayOut, is_about_a_version, is_about_python, limits_of, line_in_the_way
from passerelle.environments.pythons import OLDEST
from passerelle.environments.resolution import Inputs, compiled, nearest_version
from passerelle.environments.uv import UvFailure

#: How many lines may stand in the way one after the other, and the newest Python that is offered.
_MOST_LINES, _NEWEST = 8, (3, 13)


@dataclass(frozen=True)
class _Step:
    """The inputs with another version of the package that stands in the way, as an override of the operator."""

    inputs: Inputs
    override: Requirement


def way_out(inputs: Inputs, failure: UvFailure) -> WayOut:
    """Return overrides, and another Python, with which the requirements resolve; neither where none was found.

    Args:
        inputs: What does not resolve.
        failure: What uv said of it.
    """
    if not is_about_a_version(failure):
        return WayOut()
    return WayOut(_overrides(inputs, failure), _python(inputs) if is_about_python(failure) else None)


def _overrides(inputs: Inputs, failure: UvFailure) -> tuple[Requirement, ...]:
    """Replace one line after the other until uv finds versions."""
    found: dict[str, Requirement] = {}
    for _ in range(_MOST_LINES):
        step = _next(inputs, failure)
        if step is None or canonicalize_name(step.override.name) in found:
            return ()
        found[canonicalize_name(step.override.name)] = step.override
        inputs = step.inputs
        outcome = compiled(inputs, of_today=True)
        if not isinstance(outcome, UvFailure):
            return tuple(found.values())
        failure = outcome
    return ()


def _next(inputs: Inputs, failure: UvFailure) -> _Step | None:
    line = line_in_the_way(failure, inputs.packages)
    if line is None:
        return None
    limits = limits_of(failure, line.name)
    version = None if limits else nearest_version(line, inputs.python)
    if not limits and version is None:
        return None
    override = Requirement(f"{line.name}{limits[-1] if limits else f'=={version}'}")
    name = canonicalize_name(line.name)
    packages = [override if canonicalize_name(each.name) == name else each for each in inputs.packages]
    others = [each for each in inputs.overrides if canonicalize_name(each.name) != name]
    return _Step(replace(inputs, packages=packages, overrides=[*others, override]), override)


def _python(inputs: Inputs) -> str | None:
    """Return the nearest other Python for which the requirements resolve as they stand."""
    minor = int(inputs.python.partition(".")[2])
    others = sorted({*range(OLDEST[1], _NEWEST[1] + 1)} - {minor}, key=lambda other: abs(other - minor))
    pythons = (f"3.{other}" for other in others)
    return next((each for each in pythons if not isinstance(compiled(replace(inputs, python=each), of_today=True), UvFailure)), None)
