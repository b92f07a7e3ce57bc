"""The code of a bento: what a project's bentofile.yaml includes, and passerelle's own where the project has no copy of it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from pathspec import GitIgnoreSpec

import passerelle
from passerelle.errors import UsageError

BENTOFILE = "bentofile.yaml"
#: Where the checkout holds the package, and hence the bento too.
_PACKAGE = "src/passerelle"
_ROOT = "passerelle build --project FOLDER"


@dataclass(frozen=True)
class Bentofile:
    """What bentofile.yaml names of the project's files.

    Attributes:
        service: Module and class, such as `service:Classifier`.
        include: Patterns of the code, as in .gitignore.
        exclude: Patterns of what is left out of it.
        requirements: Path of the locked requirements, if it names one.
    """

    service: str
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    requirements: str | None


def read_bentofile(project: Path) -> Bentofile:
    """Return what the bentofile.yaml of a project names.

    Raises:
        UsageError: It is missing, is not YAML, or names no service.
    """
    path = project / BENTOFILE
    if not path.is_file():
        raise UsageError(f"{project} holds no {BENTOFILE}", hint=_ROOT)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        python = content.get("python") or {}
        lists = (tuple(map(str, content.get(key) or default)) for key, default in (("include", ("**",)), ("exclude", ())))
        include, exclude = lists
        return Bentofile(str(content["service"]), include, exclude, python.get("requirements_txt"))
    except (OSError, ValueError, yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise UsageError(f"cannot read {path}: {type(error).__name__}: {error}", hint=f"git diff {path}") from error


def code_digest(project: Path) -> str:
    """Return SHA-256 over the names and contents of the files that enter the bento.

    Raises:
        UsageError: One of the files that a bento needs is missing.
    """
    digest = hashlib.sha256()
    for name, path in sorted(code_files(project).items()):
        digest.update(name.encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return "sha256:" + digest.hexdigest()


def code_files(project: Path) -> dict[str, Path]:
    """Return the files that enter the bento, by their names in it.

    The package comes from the project's own src/ where that holds it, and else from where it is installed.

    Raises:
        UsageError: bentofile.yaml, or a file that it names in full, is missing.
    """
    bentofile = read_bentofile(project)
    found = _chosen(bentofile, {**dict(_files(project)), **_package_files(_package(project))})
    found[BENTOFILE] = project / BENTOFILE
    if bentofile.requirements is not None:
        found[bentofile.requirements] = project / bentofile.requirements
    named = (pattern.removeprefix("/") for pattern in bentofile.include if not set(pattern) & set("*?[!") and not pattern.endswith("/"))
    for name in (*named, *found):
        if not found.get(name, project / name).exists():
            raise UsageError(f"{project} holds no {name}", hint=_ROOT)
    return found


def add_package(code: Path) -> None:
    """Add the installed package's serving code to the code of a bento, unless the project's own copy of it is there.

    Args:
        code: The folder src/ of the bento, which holds its bentofile.yaml.

    Raises:
        UsageError: bentofile.yaml is missing or cannot be read.
    """
    package = _package(code)
    if package.is_relative_to(code.resolve()):
        return
    for name, path in _chosen(read_bentofile(code), _package_files(package)).items():
        target = code / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _chosen(bentofile: Bentofile, available: Mapping[str, Path]) -> dict[str, Path]:
    """Return those of the files that the bentofile includes and does not exclude."""
    included, excluded = GitIgnoreSpec.from_lines(bentofile.include), GitIgnoreSpec.from_lines(bentofile.exclude)
    return {name: path for name, path in available.items() if included.match_file(name) and not excluded.match_file(name)}


def _package_files(package: Path) -> dict[str, Path]:
    """Return the package's files by their names in a bento."""
    return {f"{_PACKAGE}/{name}": path for name, path in _files(package)}


def _package(project: Path) -> Path:
    own = project.resolve() / _PACKAGE
    return own if (own / "__init__.py").is_file() else Path(passerelle.__file__).resolve().parent


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files below a folder by their relative names; not those of hidden folders, environments and caches."""
    for entry in sorted(root.iterdir()):
        if entry.is_file():
            yield entry.name, entry
        elif entry.is_dir() and not entry.name.startswith(".") and entry.name != "__pycache__" and not (entry / "pyvenv.cfg").exists():
            yield from ((f"{entry.name}/{name}", path) for name, path in _files(entry))
