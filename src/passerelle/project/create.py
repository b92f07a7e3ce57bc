"""Write a new project into a folder that does not exist yet or is empty."""

from __future__ import annotations

import secrets
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from passerelle import __version__
from passerelle.errors import OutsideError, UsageError
from passerelle.project.answers import Answers
from passerelle.project.manifest import FILE, ProjectManifest, digest
from passerelle.project.render import render
from passerelle.training.dataset import read_data


@dataclass(frozen=True)
class NewProject:
    """A project that was written, or would be.

    Attributes:
        files: Paths of its files.
    """

    folder: Path
    name: str
    files: tuple[str, ...]
    dry_run: bool = False


def create(folder: Path, answers: Answers, *, data: Path | None = None, dry_run: bool = False) -> NewProject:
    """Write a project; all of its files or none.

    Args:
        data: CSV, xlsx, JSON or Parquet file that is copied into it, in place of the small data set.

    Raises:
        UsageError: The folder holds something.
        DataError: The data cannot be trained on.
        OutsideError: The folder cannot be written.
    """
    folder = folder.resolve() if ".." in folder.parts else folder.absolute()
    check_free(folder)
    files = render(answers)
    if data is not None:
        columns = answers.data.feature_columns or None
        read_data(data, text_column=answers.data.text_columns, label_column=answers.data.label_column, feature_columns=columns)
        files[answers.data.file] = data.read_bytes()
    written = {name: digest(content) for name, content in files.items() if data is None or name != answers.data.file}
    files[FILE] = ProjectManifest(__version__, secrets.token_hex(4), written).content()
    if not dry_run:
        try:
            _write(folder, files)
        except OSError as error:
            hint = f"passerelle new {shlex.quote(str(Path.home() / folder.name))}"
            raise OutsideError(f"cannot write the project to {folder}: {error.strerror or error}", hint=hint) from error
    return NewProject(folder, answers.name, tuple(sorted(files)), dry_run)


def check_free(folder: Path) -> None:
    """Check that the folder does not exist or is empty, but for a `.git`.

    Raises:
        UsageError: It holds something, or is a file.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file", hint=_elsewhere(folder))
    if (folder / FILE).is_file():
        raise UsageError(f"{folder} is a project already", hint=f"passerelle new {shlex.quote(str(folder))} --update")
    entries = sorted(entry.name for entry in folder.iterdir() if entry.name != ".git")
    if entries:
        raise UsageError(f"{folder} is not empty: it holds {entries[0]}; nothing was written", hint=_elsewhere(folder))


def _elsewhere(folder: Path) -> str:
    free = next(path for number in range(2, 1_000) if not (path := folder.with_name(f"{folder.name}-{number}")).exists())
    return f"passerelle new {shlex.quote(str(free))}"


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write beside the target, then move; an existing folder keeps its inode and its permissions."""
    there = folder.is_dir()
    partial = folder / ".new" if there else folder.with_name(f".{folder.name}.new")
    try:
        partial.mkdir(parents=True)
        for name, content in files.items():
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            (partial / name).write_bytes(content)
        if not there:
            partial.rename(folder)
            return
        for entry in sorted(partial.iterdir()):
            entry.rename(folder / entry.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
