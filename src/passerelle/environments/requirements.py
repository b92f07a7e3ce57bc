"""What a logged model asks for: the packages and the Python that its own files name, or the line that cannot be taken as it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from passerelle.environments.options import is_without_effect, refuse_option
from passerelle.errors import UsageError
from passerelle.yaml_text import YamlFault, parse_yaml

REQUIREMENTS, PYTHON_ENV, CONDA, CONSTRAINTS = "requirements.txt", "python_env.yaml", "conda.yaml", "constraints.txt"
ADOPT = "passerelle adopt models:/NAME/VERSION"
#: Sizes that no list of requirements reaches.
_MOST_BYTES, _MOST_LINES, _LONGEST_LINE = 256 << 10, 2_000, 1_000
#: What conda installs and pip does not, or installs of itself.
_OF_CONDA = frozenset({"python", "pip", "setuptools", "wheel"})
#: Packages whose name on conda is another than on PyPI.
_ON_PYPI = {"pytorch": "torch", "pytorch-cpu": "torch", "py-xgboost": "xgboost", "opencv": "opencv-python-headless"}
_ADDRESS = re.compile(r"^(?:git|hg|svn|bzr)\+|^[a-z]+://|^file:|^\.{0,2}/|^~|^[A-Za-z]:\\|\.(?:whl|tar\.gz|zip)(?:$|[#\s])|^\.$")


@dataclass(frozen=True)
class ModelRequirements:
    """What the model's own files name.

    Attributes:
        packages: Requirements of PEP 508, each without an address.
        constraints: Those that limit versions alone.
        python: Version of Python, such as `3.11.7`; None where no file names one.
        left_out: Lines that an override of the operator stands for.
        prereleases: Whether pre-releases may be taken.
    """

    packages: tuple[Requirement, ...]
    constraints: tuple[Requirement, ...] = ()
    python: str | None = None
    left_out: tuple[str, ...] = ()
    prereleases: bool = False


def read_requirements(folder: Path, overrides: Sequence[Requirement] = ()) -> ModelRequirements:
    """Return what the files of a model's directory name.

    Args:
        folder: As MLflow wrote it.
        overrides: Stand for the lines that name their packages, and for those that name none.

    Raises:
        UsageError: A file is too large or cannot be read, or names what only the operator can decide about: says which line.
    """
    conda, python_env = _yaml(folder / CONDA), _yaml(folder / PYTHON_ENV)
    lines, python = _of_conda(conda)
    source = CONDA
    if (folder / REQUIREMENTS).exists():
        lines, source = list(_lines(folder / REQUIREMENTS)), REQUIREMENTS
    named = python_env.get("python") or python
    reader = _Reader(source, {canonicalize_name(each.name) for each in overrides})
    packages = [found for line in lines if (found := reader.requirement(line)) is not None]
    constraints = _constraints(folder, reader) if reader.constrained else ()
    return ModelRequirements(
        tuple(packages), constraints, str(named) if named is not None else None, tuple(reader.left_out), reader.prereleases
    )


class _Reader:
    """Takes one line after the other.

    Args:
        source: Name of the file, for messages.
        overridden: Names of the packages that the operator decided about.
    """

    def __init__(self, source: str, overridden: set[str]) -> None:
        self._source = source
        self._overridden = overridden
        self.left_out: list[str] = []
        self.constrained = self.prereleases = False

    def requirement(self, line: str) -> Requirement | None:
        """Return the requirement that the line is; None for one that an override stands for, or that changes nothing here."""
        option, _, value = line.replace("=", " ", 1).partition(" ") if line.startswith("-") else ("", "", line)
        if option in {"-c", "--constraint"} and value.strip() == CONSTRAINTS:
            self.constrained = True
            return None
        if option == "--pre":
            self.prereleases = True
            return None
        if option and is_without_effect(option, value.strip()):
            return None
        if option or _ADDRESS.search(line):
            self._refuse(line, option)
            return None
        return self._parsed(line)

    def _parsed(self, line: str) -> Requirement | None:
        try:
            found = Requirement(re.split(r"\s--(?:hash|config-settings|global-option)\b", line)[0].strip())
        except InvalidRequirement as error:
            self._unless_overridden(line, "", f"is no requirement: {str(error).splitlines()[0]}")
            return None
        if found.url is not None:
            self._unless_overridden(line, found.name, "names an address, not a version in a package index")
            return None
        return found

    def _refuse(self, line: str, option: str) -> None:
        message = refuse_option(line, option, self._source)
        if message is None:
            self._unless_overridden(line, _name_in(line), "names an address or a folder, not a version in a package index")
        else:
            self._unless_overridden(line, "", message)

    def _unless_overridden(self, line: str, name: str, what: str) -> None:
        """Leave the line out where an override stands for it; raise UsageError otherwise."""
        if canonicalize_name(name) in self._overridden or (not name and self._overridden):
            self.left_out.append(bounded(line))
            return
        hint = f"{ADOPT} --override '{name or 'PACKAGE'}==VERSION'"
        raise UsageError(f"the line '{bounded(line)}' of the model's {self._source} {what}", hint=hint)


def bounded(line: str) -> str:
    """Return a line for a message: bounded, and without the name and password of an address."""
    without = re.sub(r"://[^/\s@]*@", "://", line)
    return without if len(without) <= 200 else without[:200] + "..."  # noqa: PLR2004 - as the message shows it


def _constraints(folder: Path, reader: _Reader) -> tuple[Requirement, ...]:
    lines = _lines(folder / CONSTRAINTS) if (folder / CONSTRAINTS).exists() else ()
    return tuple(found for line in lines if (found := reader.requirement(line)) is not None)


def _name_in(line: str) -> str:
    """Return the name of the package that an address seems to be of; empty where it says none."""
    named = re.search(r"[#&]egg=([\w.-]+)", line) or re.match(r"^([\w.-]+)(?:\[[^\]]*\])?\s*@", line)
    if named is None:
        last = re.split(r"[#?]", bounded(line))[0].rstrip("/").rsplit("/", 1)[-1].partition("@")[0]
        named = re.match(r"([A-Za-z]\w*(?:[.-][A-Za-z_]\w*)*?)(?:\.git|-\d.*|\.whl|\.tar\.gz|\.zip)?$", last)
    return named[1] if named else ""


def _text(path: Path) -> str:
    """Return the content of a file of the model.

    Raises:
        UsageError: It is a link, too large, or not in UTF-8.
    """
    hint = f"{ADOPT} --dry-run"
    if path.is_symlink() or path.stat().st_size > _MOST_BYTES:
        reason = "a link" if path.is_symlink() else f"larger than {_MOST_BYTES >> 10} KiB"
        raise UsageError(f"the model's {path.name} is {reason}: no list of requirements is", hint=hint)
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the model's {path.name} cannot be read: {type(error).__name__}", hint=hint) from error


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file of requirements, those continued by a backslash as one, without comments."""
    lines = re.sub(r"\\\r?\n", " ", _text(path)).splitlines()
    if len(lines) > _MOST_LINES or any(len(line) > _LONGEST_LINE and "--hash" not in line for line in lines):
        raise UsageError(
            f"the model's {path.name} has more than {_MOST_LINES} lines, or one of more than {_LONGEST_LINE} characters",
            hint=f"{ADOPT} --dry-run",
        )
    for line in lines:
        content = re.sub(r"(^|\s)#.*$", "", line).strip()
        if content:
            yield content


def _yaml(path: Path) -> Mapping[str, Any]:
    if not path.exists():
        return {}
    try:
        content = parse_yaml(_text(path).encode())
    except YamlFault as error:
        raise UsageError(f"the model's {path.name} is not YAML that is read here: {error}", hint=f"{ADOPT} --dry-run") from error
    return content if isinstance(content, dict) else {}


def _of_conda(content: Mapping[str, Any]) -> tuple[list[str], str | None]:
    """Return the requirements of a conda environment, as pip writes them, and its Python."""
    lines: list[str] = []
    python = None
    dependencies = content.get("dependencies")
    for each in dependencies if isinstance(dependencies, list) else ():
        if isinstance(each, dict):
            lines += [str(line).strip() for line in each.get("pip") or () if str(line).strip()]
            continue
        name, *version = re.split(r"[\s=<>!~]+", str(each).rpartition("::")[2].strip())
        if name == "python":
            python = version[0].rstrip(".*") if version else None
        elif name not in _OF_CONDA:
            lines.append(f"{_ON_PYPI.get(name, name)}=={version[0]}" if version and version[0] else _ON_PYPI.get(name, name))
    return lines, python
