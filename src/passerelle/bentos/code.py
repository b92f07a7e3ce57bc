"""The code of a bento: what a project's bentofile.yaml includes, and passerelle's own where the project has no copy of it."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pathspec import GitIgnoreSpec

import passerelle
from passerelle.errors import UsageError, shell_word

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
        raise UsageError(f"cannot read {path}: {type(error).__name__}: {error}", hint=f"git diff {shell_word(path)}") from error


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
    found = _chosen(bentofile, {**dict(_files(project, "", bentofile.include)), **_package_files(_package(project), bentofile)})
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
    bentofile = read_bentofile(code)
    for name, path in _chosen(bentofile, _package_files(package, bentofile)).items():
        target = code / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _chosen(bentofile: Bentofile, available: Mapping[str, Path]) -> dict[str, Path]:
    """Return those of the files that the bentofile includes and does not exclude."""
    included, excluded = GitIgnoreSpec.from_lines(bentofile.include), GitIgnoreSpec.from_lines(bentofile.exclude)
    return {name: path for name, path in available.items() if included.match_file(name) and not excluded.match_file(name)}


def _package_files(package: Path, bentofile: Bentofile) -> dict[str, Path]:
    """Return the package's files by their names in a bento."""
    return dict(_files(package, _PACKAGE, bentofile.include))


def _package(project: Path) -> Path:
    own = project.resolve() / _PACKAGE
    return own if (own / "__init__.py").is_file() else Path(passerelle.__file__).resolve().parent


def _files(root: Path, name: str, include: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Yield the files below a folder that patterns may include; not those of hidden folders, environments and caches.

    Args:
        root: The folder.
        name: Of the folder in the bento, before those of its files.
        include: Patterns, as in .gitignore.

    Raises:
        UsageError: A folder that may hold such files cannot be read.
    """
    try:
        entries = sorted(root.iterdir())
    except OSError as error:
        message = f"{root} cannot be read: {error.strerror}; {BENTOFILE} may include files in it"
        raise UsageError(message, hint=f"ls -ld {shell_word(root)}") from error
    for entry in entries:
        inner = f"{name}/{entry.name}" if name else entry.name
        if entry.is_file():
            yield inner, entry
        elif entry.is_dir() and _may_hold(inner, include) and not _is_left_out(entry):
            yield from _files(entry, inner, include)


def _may_hold(folder: str, include: Sequence[str]) -> bool:
    """Return whether a folder may hold a file that one of the patterns matches."""
    for pattern in include:
        begin = re.split(r"[*?\[!]", pattern.removeprefix("/"), maxsplit=1)[0]
        # Without a slash before its end, a pattern matches at any depth.
        if "/" not in pattern.rstrip("/") or f"{begin}/".startswith(f"{folder}/") or f"{folder}/".startswith(begin):
            return True
    return False


def _is_left_out(folder: Path) -> bool:
    return folder.name.startswith(".") or folder.name == "__pycache__" or (folder / "pyvenv.cfg").exists()
