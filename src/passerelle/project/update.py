"""What a newer passerelle would write into a project, as a diff; applied without touching what the team changed."""

from __future__ import annotations

import difflib
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from passerelle import __version__
from passerelle.errors import OutsideError, UsageError
from passerelle.project.answers import answers_of
from passerelle.project.manifest import FILE, ProjectManifest, digest, read_manifest
from passerelle.project.render import render
from passerelle.project_file import read_project_file

#: A project needs these: an update restores them.
REQUIRED = (
    "service.py",
    "bentofile.yaml",
    "requirements/scorer.txt",
    "requirements/service.txt",
    "training/candidates.py",
    "training/params.py",
    "training/criteria.yaml",
)
Action = Literal["add", "replace", "remove", "keep"]


@dataclass(frozen=True)
class Change:
    """One file that a newer passerelle writes differently.

    Attributes:
        action: `keep` for a file that the team changed: it is shown and left alone.
        diff: From the file in the project to the one that the newer passerelle writes.
    """

    path: str
    action: Action
    diff: str


@dataclass(frozen=True)
class Update:
    """What an update changes.

    Attributes:
        written_by: Version of passerelle that wrote the project.
        version: Version that looked at it now.
        applied: Whether the changes were made.
    """

    folder: Path
    written_by: str
    version: str
    changes: tuple[Change, ...]
    applied: bool


def update(folder: Path, *, apply: bool = False) -> Update:
    """Return what this passerelle would write differently; with `apply`, write it, but for files that the team changed.

    Raises:
        UsageError: The folder is no project of `passerelle new`, or a newer passerelle wrote it.
        OutsideError: A file cannot be written.
    """
    folder = folder.absolute()
    manifest = read_manifest(folder)
    if manifest is None:
        hint = f"passerelle new {shlex.quote(str(folder.with_name('my-project')))}"
        raise UsageError(f"{folder} was not written by passerelle new: it holds no {FILE}", hint=hint)
    check_not_newer(folder, manifest.passerelle)
    answers = answers_of(read_project_file(folder))
    rendered, required = render(answers), {*REQUIRED, answers.data.file}
    changes = tuple(
        change
        for path in sorted({*rendered, *manifest.files})
        if (change := _change(folder / path, path, manifest.files.get(path), rendered.get(path), required=path in required))
    )
    if apply:
        try:
            _apply(folder, manifest, rendered, changes)
        except OSError as error:
            message = f"cannot write {error.filename or folder}: {error.strerror or error}"
            raise OutsideError(message, hint=f"passerelle new {shlex.quote(str(folder))} --update --yes") from error
    return Update(folder, manifest.passerelle, __version__, changes, apply)


def check_not_newer(folder: Path, written_by: str) -> None:
    """Check that the installed passerelle is not older than the one that wrote the project.

    Raises:
        UsageError: It is.
    """
    if version_key(written_by) > version_key(__version__):
        message = f"{folder} was written by passerelle {written_by}, and this is passerelle {__version__}"
        raise UsageError(message, hint=f"pip install 'passerelle[workbench]=={written_by}'")


def version_key(version: str) -> tuple[int, ...]:
    """Return a release's numbers, to be compared; what follows them does not count."""
    numbers = []
    for part in version.split("."):
        if not part.isdecimal():
            break
        numbers.append(int(part))
    return tuple(numbers)


def _change(file: Path, path: str, recorded: str | None, new: bytes | None, *, required: bool) -> Change | None:
    current = file.read_bytes() if file.is_file() else None
    if current == new:
        return None
    diff = _diff(path, current, new)
    if current is None:
        deleted_by_the_team = recorded is not None and not required
        return None if deleted_by_the_team else Change(path, "add", diff)
    if digest(current) == recorded:
        return Change(path, "remove" if new is None else "replace", diff)
    # A file of the team: reported only if the newer version differs from the one that was written.
    return None if new is None or digest(new) == recorded else Change(path, "keep", diff)


def _diff(path: str, current: bytes | None, new: bytes | None) -> str:
    before, after = ((content or b"").decode("utf-8", "replace").splitlines(keepends=True) for content in (current, new))
    names = (f"a/{path}" if current is not None else "/dev/null", f"b/{path}" if new is not None else "/dev/null")
    lines = difflib.unified_diff(before, after, *names)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _apply(folder: Path, manifest: ProjectManifest, rendered: Mapping[str, bytes], changes: tuple[Change, ...]) -> None:
    """Make the changes, the manifest last: an interrupted update is repeated by the next one."""
    for change in changes:
        if change.action == "remove":
            (folder / change.path).unlink(missing_ok=True)
        elif change.action != "keep":
            _replace(folder / change.path, rendered[change.path])
    files = {path: digest(content) for path, content in rendered.items()}
    content = ProjectManifest(__version__, manifest.id, files).content()
    if content != (folder / FILE).read_bytes():
        _replace(folder / FILE, content)


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        partial.write_bytes(content)
        if path.exists():
            partial.chmod(path.stat().st_mode)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
