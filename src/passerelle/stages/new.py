"""Write a project of one's own, or what a newer passerelle writes otherwise; needs no server, hence no context."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from passerelle.project.answers import Answers
from passerelle.project.check import check_project
from passerelle.project.create import NewProject, create
from passerelle.project.update import Update, update

__all__ = ["NewProject", "Update", "check", "run", "update"]


def run(folder: Path, answers: Answers, *, data: Path | None = None, dry_run: bool = False) -> NewProject:
    """Write a project; all of its files or none.

    Args:
        data: CSV or Parquet file that is copied into it, in place of the small data set.

    Raises:
        UsageError: The folder holds something.
        DataError: The data cannot be trained on.
        OutsideError: The folder cannot be written.
    """
    return create(folder, answers, data=data, dry_run=dry_run)


def check(project: Path, criteria: Path | None, progress: Callable[[str], None]) -> None:
    """Check that the folder is a project, before any server starts, and tell what a person should know.

    Raises:
        UsageError: A file is missing or cannot be read, or a newer passerelle wrote the project.
    """
    for note in check_project(project, criteria):
        progress(f"note: {note}")
