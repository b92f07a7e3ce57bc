"""What uv resolves for a model, and what it resolves it to."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from passerelle.environments.requirements import ModelRequirements
from passerelle.environments.uv import UvFailure, run_uv

#: Wheels alone: a source distribution would run code of its own on this machine. Images are of Linux.
_COMPILE = (
    "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--generate-hashes", "--only-binary", ":all:",
    "--python-platform", "linux", "--no-config",
)  # fmt: skip


@dataclass(frozen=True)
class Inputs:
    """What uv resolves: requirements, limits, what replaces them, and names of packages that must be there."""

    packages: Sequence[Requirement]
    named_by_model: ModelRequirements
    overrides: Sequence[Requirement]
    python: str
    also: Sequence[str] = ()
    pins: Sequence[Requirement] = ()


def compiled(inputs: Inputs, *, of_today: bool = False) -> str | UvFailure:
    """Return what uv resolves the inputs to.

    Args:
        inputs: What it is given.
        of_today: Let it take what the indexes took in today; by default only where that alone satisfies the inputs.
    """
    midnight = datetime.now(UTC).strftime("%Y-%m-%dT00:00:00Z")
    with tempfile.TemporaryDirectory(prefix="passerelle-lock-") as temporary:
        arguments = [*_files(Path(temporary), inputs), "--python-version", inputs.python, "--python", sys.executable]
        arguments += ["--prerelease", "allow"] if inputs.named_by_model.prereleases else []
        past = [] if of_today else [run_uv([*_COMPILE, "--exclude-newer", midnight, *arguments], folder=Path(temporary), timeout_s=600)]
        if past and isinstance(past[0], str):
            return past[0]
        return run_uv([*_COMPILE, *arguments], folder=Path(temporary), timeout_s=600)


def nearest_version(package: Requirement, python: str) -> str | None:
    """Return the version of a package that has a wheel for this Python and is nearest to the one that is asked for; None without any.

    The next newer one comes first: a wheel that is missing for a Python is most often too old for it.
    """
    named = next((each.version for each in package.specifier if each.operator in {"==", "==="} and "*" not in each.version), None)
    limits = ((f">{named}", "lowest"), (f"<{named}", "highest")) if named else (("", "highest"),)
    for limit, first in limits:
        with tempfile.TemporaryDirectory(prefix="passerelle-lock-") as temporary:
            (Path(temporary) / "requirements.in").write_text(f"{package.name}{limit}\n", encoding="utf-8")
            arguments = ["requirements.in", "--no-deps", "--resolution", first, "--python-version", python, "--python", sys.executable]
            found = run_uv([*_COMPILE, *arguments], folder=Path(temporary), timeout_s=120)
        if not isinstance(found, UvFailure):
            return next(iter(pins_of(found).values()), None)
    return None


def pins_of(text: str) -> dict[str, str]:
    """Return the version of each package of locked requirements, by its name."""
    return dict(re.findall(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", text, re.MULTILINE))


def _files(folder: Path, inputs: Inputs) -> list[str]:
    """Write the inputs as uv reads them and return the arguments that name the files."""
    named = {canonicalize_name(each.name) for each in inputs.packages}
    also = [name for name in inputs.also if name not in named]
    (folder / "requirements.in").write_text("\n".join([*sorted(map(str, inputs.packages)), *sorted(also)]) + "\n", encoding="utf-8")
    arguments = ["requirements.in"]
    limits = {"--constraints": [*inputs.named_by_model.constraints, *inputs.pins], "--overrides": inputs.overrides}
    for option, lines in limits.items():
        if lines:
            name = f"{option.strip('-')}.in"
            (folder / name).write_text("\n".join(sorted(map(str, lines))) + "\n", encoding="utf-8")
            arguments += [option, name]
    return arguments
