"""Write a new project, or show and apply what a newer passerelle would write differently; needs no server, hence no context."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from passerelle.errors import DataError, shell_word
from passerelle.project.answers import Answers
from passerelle.project.check import check_project
from passerelle.project.create import NewProject, create
from passerelle.project.update import Update, update
from passerelle.stages.training_file import which_columns

__all__ = ["NewProject", "Update", "check", "run", "update"]

_TRAIN, _COLUMNS = "passerelle train --data ", " --text-column COLUMN --label-column COLUMN"
_OF_TRAIN = re.compile("--(drop-missing|min-class-rows|sheet)")


def run(folder: Path, answers: Answers, *, data: Path | None = None, dry_run: bool = False) -> NewProject:
    """Write a project; all of its files or none.

    Args:
        data: CSV, xlsx, JSON or Parquet file that is copied into it, in place of the small data set.

    Raises:
        UsageError: The folder holds something.
        DataError: The data cannot be trained on.
        OutsideError: The folder cannot be written.
    """
    try:
        return create(folder, answers, data=data, dry_run=dry_run)
    except DataError as error:
        if data is None or error.hint is None or not error.hint.startswith(_TRAIN):
            raise
        guess = which_columns(data, None, (), (), None).hint if error.hint.endswith(_COLUMNS) else None
        typed = (guess or error.hint).removeprefix(_TRAIN).replace(_TRAIN, f"passerelle new {shell_word(folder)} --data ")
        if _OF_TRAIN.search(typed):
            raise
        raise DataError(error.message, hint=f"passerelle new {shell_word(folder)} --data {typed}") from error


def check(project: Path, criteria: Path | None, progress: Callable[[str], None]) -> None:
    """Check that the folder is a project, before any server starts, and tell what a person should know.

    Raises:
        UsageError: A file is missing or cannot be read, or a newer passerelle wrote the project.
    """
    for note in check_project(project, criteria):
        progress(f"note: {note}")
