"""What uv resolves for a model, and what it resolves it to."""

from __future__ import annotations

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
_ALWAYS = (
    "--quiet", "--no-header", "--no-annotate", "--generate-hashes", "--only-binary", ":all:", "--python-platform", "linux", "--no-config",
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


def compiled(inputs: Inputs) -> str | UvFailure:
    """Return what uv resolves the inputs to, without what the indexes took in today; with it where that alone satisfies them."""
    midnight = datetime.now(UTC).strftime("%Y-%m-%dT00:00:00Z")
    with tempfile.TemporaryDirectory(prefix="passerelle-lock-") as temporary:
        arguments = [*_files(Path(temporary), inputs), "--python-version", inputs.python, "--python", sys.executable]
        arguments += ["--prerelease", "allow"] if inputs.named_by_model.prereleases else []
        found = run_uv(["pip", "compile", *_ALWAYS, "--exclude-newer", midnight, *arguments], folder=Path(temporary), timeout_s=600)
        if isinstance(found, UvFailure):
            found = run_uv(["pip", "compile", *_ALWAYS, *arguments], folder=Path(temporary), timeout_s=600)
    return found


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
