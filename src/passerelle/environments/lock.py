"""Lock what a logged model asks for: resolved once, with uv, to versions and hashes that are kept beside the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from passerelle.environments.conflict import unresolved
from passerelle.environments.needs import installed_of, needs_of
from passerelle.environments.pythons import HERE, minor_version
from passerelle.environments.requirements import ADOPT, read_requirements
from passerelle.environments.resolution import Inputs, compiled, pins_of
from passerelle.environments.uv import UvFailure
from passerelle.environments.way_out import way_out
from passerelle.errors import UsageError


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
    needs, named_by_model = needs_of(model_folder, flavor), read_requirements(model_folder, replacing)
    version = _python(python or named_by_model.python or needs.python)
    progress(f"uv resolves the {len(named_by_model.packages)} requirements of the model for Python {version}")
    every = [*named_by_model.packages, *replacing]
    installed = installed_of(every, needs, replacing)
    resolved = _resolved(Inputs(every, named_by_model, replacing, version, needs.packages if not installed.left_out else ()))
    if installed.left_out:
        # The versions stay those that the whole list gives.
        pins = tuple(Requirement(f"{name}=={found}") for name, found in pins_of(resolved).items())
        resolved = _resolved(Inputs(installed.packages, named_by_model, replacing, version, needs.packages, pins))
    left_out = (*installed.left_out, *named_by_model.left_out)
    named = [*installed.packages, *map(Requirement, needs.packages)]
    return Locked(_text(resolved, version, left_out), version, _libraries(resolved, named), left_out)


def _resolved(inputs: Inputs) -> str:
    """Return what uv resolves the inputs to; raises UsageError with the line that stands in the way otherwise."""
    found = compiled(inputs)
    if isinstance(found, UvFailure):
        raise unresolved(found, inputs.packages, inputs.python, way_out(inputs, found))
    return found


def _python(python: str | None) -> str:
    if python is None:
        raise UsageError("no file of the model says which Python it needs", hint=f"{ADOPT} --python {HERE}")
    return minor_version(python)


def _override(text: str) -> Requirement:
    try:
        found = Requirement(text)
    except InvalidRequirement as error:
        raise UsageError(
            f"'{text[:100]}' is no requirement that can override another", hint=f"{ADOPT} --override 'PACKAGE==VERSION'"
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
