"""The file of labelled rows that `--held-out` names, refused where it cannot be read without importing what reads it."""

from __future__ import annotations

from pathlib import Path

from passerelle.errors import DataError
from passerelle.training.file_content import check_readable

#: What the name of a dataset of a run begins with, in the place of a file's.
DATASET = "dataset:"


def check_held_out(held_out: str | None, *, hint: str) -> None:
    """Check that the file is there and can be read; nothing where none is named, or a dataset of a run is.

    Raises:
        DataError: There is no such file, it is a folder, or it cannot be read.
    """
    if held_out is None or held_out.startswith(DATASET):
        return
    try:
        check_readable(Path(held_out))
    except DataError as error:
        raise DataError(error.message, hint=hint) from error
