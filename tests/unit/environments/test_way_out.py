"""What is offered for requirements that do not resolve: tried before it is named. An index of two packages stands for the real one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from passerelle.environments import resolution
from passerelle.environments.conflict import WayOut
from passerelle.environments.requirements import ModelRequirements
from passerelle.environments.resolution import Inputs, compiled
from passerelle.environments.uv import UvFailure
from passerelle.environments.way_out import way_out

#: The Pythons, by their minor versions, that each version has a wheel for.
INDEX: Mapping[str, Mapping[str, range]] = {
    "numpy": {"1.21.1": range(7, 11), "1.26.4": range(9, 13), "2.0.2": range(9, 13), "2.3.1": range(11, 15)},
    "scikit-learn": {"1.2.2": range(8, 12), "1.5.2": range(9, 14)},
    "sources-alone": {"1.0": range(0)},
}
#: What a version takes of another package.
LIMITS = {("scikit-learn", "1.5.2"): ("numpy", ">=1.26")}


def answer(line: Requirement, python: int, *, newest: bool) -> str | None:
    """Return the version that an index gives; None without a wheel."""
    there = [version for version, pythons in INDEX[line.name].items() if python in pythons and version in line.specifier]
    return (max if newest else min)(there, key=Version) if there else None


@pytest.fixture(autouse=True)
def index(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands for uv, in its own words; returns the lists that it was given."""
    calls: list[str] = []

    def fake(arguments: Sequence[str], *, folder: Path, timeout_s: float) -> str | UvFailure:
        text = (folder / "requirements.in").read_text()
        calls.append(text)
        python = int(arguments[arguments.index("--python-version") + 1].partition(".")[2])
        lines, found = [Requirement(line) for line in text.splitlines()], {}
        for line in lines:
            version = answer(line, python, newest="lowest" not in arguments)
            if version is None:
                return UvFailure((f"Because {line} has no usable wheels and you require {line}, we can conclude that ...",))
            found[line.name] = version
        for (name, version), (other, limit) in LIMITS.items():
            if found.get(name) == version and other in found and found[other] not in Requirement(other + limit).specifier:
                asked = next(each for each in lines if each.name == other)
                return UvFailure((f"Because {name}=={version} depends on {other}{limit} and you require {asked}, we can conclude that",))
        return "".join(f"{name}=={version}\n" for name, version in found.items())

    monkeypatch.setattr(resolution, "run_uv", fake)
    return calls


def offered(python: str, *lines: str, overrides: Sequence[str] = ()) -> WayOut:
    replacing = [Requirement(each) for each in overrides]
    packages = [*map(Requirement, lines), *replacing]
    inputs = Inputs(packages, ModelRequirements(tuple(packages)), replacing, python)
    failure = compiled(inputs)
    assert isinstance(failure, UvFailure)
    found = way_out(inputs, failure)
    for each in found.overrides:
        assert re.fullmatch(r"[a-z-]+[=<>]=?[\d.]+", str(each)), "no word stands for a version"
    return found


def test_a_version_is_offered_that_exists_for_that_python() -> None:
    assert offered("3.9", "numpy==2.3.1") == WayOut((Requirement("numpy==2.0.2"),), "3.11"), "an older Python has an older version"
    assert offered("3.12", "numpy==1.21.1") == WayOut((Requirement("numpy==1.26.4"),), "3.10"), "a newer one the next newer version"
    assert offered("3.9", "numpy>=2.3").overrides == (Requirement("numpy==2.0.2"),)


def test_every_line_in_the_way_is_in_one_command() -> None:
    found = offered("3.13", "scikit-learn==1.2.2", "numpy==2.0.2")
    assert found == WayOut((Requirement("numpy==2.3.1"), Requirement("scikit-learn==1.5.2")), "3.11")
    limited = offered("3.10", "scikit-learn==1.5.2", "numpy==1.21.1")
    assert limited == WayOut((Requirement("numpy>=1.26"),)), "another Python does not help where two packages contradict each other"


def test_what_an_operator_overrode_before_is_replaced() -> None:
    assert offered("3.12", overrides=["numpy==1.21.1"]).overrides == (Requirement("numpy==1.26.4"),)


def test_nothing_is_offered_that_does_not_resolve(index: list[str]) -> None:
    assert offered("3.12", "sources-alone==1.0", "numpy==1.26.4") == WayOut()
    assert len(index) < 20, "each attempt takes a second"
