"""The interpreter and the packages that passerelle asks for."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from passerelle.doctor.diagnosis import Diagnosis, Health, Surroundings, fine

NAME = "python"
_PACKAGE = "passerelle"
_EXTRA = {"extra": "workbench"}


def probe(_: Surroundings) -> Iterator[Diagnosis]:
    """Say which Python this is, and which packages are missing or of another version than asked for."""
    here = platform.python_version()
    needed = metadata(_PACKAGE)["Requires-Python"]
    if not SpecifierSet(needed).contains(here, prereleases=True):
        message = f"this is Python {here}, and passerelle needs {needed}"
        yield Diagnosis(NAME, Health.FAULT, message, hint="uv venv --python 3.11; pip install 'passerelle[workbench]'")
    wrong = [problem for each in requires(_PACKAGE) or () if (problem := _problem(Requirement(each))) is not None]
    for problem in wrong:
        yield Diagnosis(NAME, Health.FAULT, problem, hint="pip install 'passerelle[workbench]'")
    if not wrong:
        yield fine(NAME, f"Python {here} in {sys.prefix} with passerelle {version(_PACKAGE)} and all that it needs")


def _problem(requirement: Requirement) -> str | None:
    if requirement.marker is not None and not requirement.marker.evaluate(_EXTRA):
        return None
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return f"{requirement.name} is not installed"
    if not requirement.specifier.contains(found, prereleases=True):
        return f"{requirement.name} {found} is installed, and passerelle needs {requirement.name}{requirement.specifier}"
    return None
