"""Lock what a logged model asks for: resolved once, with uv, to versions and hashes that are kept beside the model."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from passerelle.environments.conflict import unresolved
from passerelle.environments.needs import needs_of, split
from passerelle.environments.pythons import minor_version
from passerelle.environments.requirements import ADOPT, ModelRequirements, read_requirements
from passerelle.environments.uv import UvFailure, run_uv
from passerelle.errors import UsageError

#: Wheels alone: a source distribution would run code of its own on this machine. Images are of Linux.
_ALWAYS = (
    "--quiet", "--no-header", "--no-annotate", "--generate-hashes", "--only-binary", ":all:", "--python-platform", "linux", "--no-config",
)  # fmt: skip


@dataclass(frozen=True)
class Locked:
    """The locked requirements of a model's own environment.

    Attributes:
        text: The content of `environment.txt`: each package with its version and hashes, no address of an index.
        python: Minor version of Python, such as `3.11`.
        libraries: Version of each package that the model names or its process needs, by name.
        left_out: What the model names and is not installed: what only logging needs, and lines that an override stands for.
    """

    text: str
    python: str
    libraries: Mapping[str, str]
    left_out: tuple[str, ...] = ()


def lock_for(
    model_folder: Path,
    *,
    python: str | None = None,
    overrides: Sequence[str] = (),
    flavor: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Locked:
    """Return the locked requirements of the model's own environment: the same for the same model on the same day.

    Args:
        model_folder: The model's directory, as MLflow wrote it.
        python: Version of Python in place of the one that the model names.
        overrides: Requirements, such as `numpy==1.26.4`, in place of what the model or a package asks for.
        flavor: The flavor that the model is read by, where it has several.
        progress: Called with a line for what takes time.

    Raises:
        UsageError: The requirements cannot be taken as they stand, or no versions satisfy them: names the line that stands in the way.
        IntegrityError: The directory holds no readable MLmodel file.
        OutsideError: There is no uv, or a package index cannot be reached.
    """
    replacing = [_override(each) for each in overrides]
    wanted, needs = read_requirements(model_folder, replacing), needs_of(model_folder, flavor)
    version = _python(wanted, python)
    progress(f"uv resolves the {len(wanted.packages)} requirements of the model for Python {version}")
    every = [*wanted.packages, *replacing]
    installed, only_logging = split(every, needs, replacing)
    resolved = _resolved(_Inputs(every, wanted, replacing, version, needs.packages if not only_logging else ()))
    if only_logging:
        # The versions stay those that the whole list gives.
        pins = [Requirement(f"{name}=={found}") for name, found in pins_of(resolved).items()]
        resolved = _resolved(_Inputs(installed, wanted, replacing, version, needs.packages, tuple(pins)))
    left_out = (*map(str, only_logging), *wanted.left_out)
    return Locked(
        _text(resolved, version, left_out), version, _libraries(resolved, [*installed, *map(Requirement, needs.packages)]), left_out
    )


def pins_of(text: str) -> dict[str, str]:
    """Return the version of each package of locked requirements, by its name."""
    return dict(re.findall(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", text, re.MULTILINE))


@dataclass(frozen=True)
class _Inputs:
    """What uv resolves: requirements, limits, what replaces them, and names of packages that must be there."""

    packages: Sequence[Requirement]
    wanted: ModelRequirements
    overrides: Sequence[Requirement]
    python: str
    also: Sequence[str] = ()
    pins: Sequence[Requirement] = ()


def _resolved(inputs: _Inputs) -> str:
    """Return what uv resolves the inputs to, without what the indexes took in today; with it where that alone satisfies them."""
    midnight = datetime.now(UTC).strftime("%Y-%m-%dT00:00:00Z")
    with tempfile.TemporaryDirectory(prefix="passerelle-lock-") as temporary:
        arguments = [*_files(Path(temporary), inputs), "--python-version", inputs.python, "--python", sys.executable]
        arguments += ["--prerelease", "allow"] if inputs.wanted.prereleases else []
        found = run_uv(["pip", "compile", *_ALWAYS, "--exclude-newer", midnight, *arguments], folder=Path(temporary), timeout_s=600)
        if isinstance(found, UvFailure):
            found = run_uv(["pip", "compile", *_ALWAYS, *arguments], folder=Path(temporary), timeout_s=600)
    if isinstance(found, UvFailure):
        raise unresolved(found, inputs.packages, inputs.python)
    return found


def _files(folder: Path, inputs: _Inputs) -> list[str]:
    """Write the inputs as uv reads them and return the arguments that name the files."""
    named = {canonicalize_name(each.name) for each in inputs.packages}
    also = [name for name in inputs.also if name not in named]
    (folder / "requirements.in").write_text("\n".join([*sorted(map(str, inputs.packages)), *sorted(also)]) + "\n", encoding="utf-8")
    arguments = ["requirements.in"]
    limits = {"--constraints": [*inputs.wanted.constraints, *inputs.pins], "--overrides": inputs.overrides}
    for option, lines in limits.items():
        if lines:
            name = f"{option.strip('-')}.in"
            (folder / name).write_text("\n".join(sorted(map(str, lines))) + "\n", encoding="utf-8")
            arguments += [option, name]
    return arguments


def _python(wanted: ModelRequirements, python: str | None) -> str:
    given = python or wanted.python
    if given is None:
        raise UsageError("no file of the model says which Python it needs", hint=f"{ADOPT} --python 3.11")
    return minor_version(given)


def _override(text: str) -> Requirement:
    try:
        found = Requirement(text)
    except InvalidRequirement as error:
        raise UsageError(
            f"« {text[:100]} » is no requirement that can override another", hint=f"{ADOPT} --override 'PACKAGE==VERSION'"
        ) from error
    if found.url is not None:
        raise UsageError(
            f"the override of {found.name} names an address, not a version in a package index",
            hint=f"{ADOPT} --override '{found.name}==VERSION'",
        )
    return found


def _text(resolved: str, python: str, left_out: Sequence[str]) -> str:
    """Return the file's content: what it is for, and the packages, without the address of an index."""
    head = [f"# The environment of an adopted model: Python {python} on Linux; wheels alone, resolved by uv."]
    head += [f"# Left out: {each}" for each in left_out]
    lines = [line.rstrip() for line in resolved.splitlines() if line.strip() and not line.startswith(("#", "-"))]
    return "\n".join([*head, *lines]) + "\n"


def _libraries(resolved: str, requirements: Sequence[Requirement]) -> dict[str, str]:
    pins = {canonicalize_name(name): version for name, version in pins_of(resolved).items()}
    named = sorted({canonicalize_name(each.name) for each in requirements})
    return {name: pins[name] for name in named if name in pins}
