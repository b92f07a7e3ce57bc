"""The file that `train --data` names: on a disk or in S3, and what its columns hold where nobody said which to use."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from urllib3.exceptions import HTTPError

from passerelle.errors import DataError, NotFoundError, OutsideError, UsageError, shell_word
from passerelle.registry.objects import Objects
from passerelle.settings import S3Settings
from passerelle.stages.score_inputs import bucket_and_key
from passerelle.stages.score_options import S3
from passerelle.stages.train_options import TrainingData
from passerelle.training.dataset import Dataset, read_data
from passerelle.training.file_columns import columns_of, lacks_header, line_to_type, listing
from passerelle.training.file_content import check_size
from passerelle.training.reading import read_table, without_header

_HINT = "passerelle train --data FILE"
#: The options of `train` by the fields of its data.
_OPTIONS = {
    "path": "--data", "sheet": "--sheet", "text_column": "--text-column", "text_columns": "--text-column",
    "optional_text_columns": "--optional-text-column",
    "feature_columns": "--feature-column", "label_column": "--label-column",
}  # fmt: skip
#: The beginning of a hint that adds an option to the same command.
_BEGINNING = re.compile(r"^passerelle train (?:--data (?!FILE)(?:'[^']*'|\"[^\"]*\"|[^\s'\"])+ )?(--min-class-rows|--drop-missing)")


def read_file_of(data: TrainingData, place: Path | str, s3: S3Settings) -> Dataset:
    """Return the data of a file.

    Args:
        data: Which of its columns are used, and how.
        place: The file.
        s3: How S3 is reached, where the file lies there.

    Raises:
        UsageError: No column is named that a record holds, or none of the class; lists the columns.
        DataError: The file cannot be trained on.
    """
    columns = data.feature_columns or None
    with local_copy(place, s3) as path:
        if data.label_column is None or not data.names_records:
            raise which_columns(path, data.sheet, data.text_columns, columns or (), data.label_column)
        return read_data(
            path,
            text_column=data.text_columns,
            label_column=data.label_column,
            feature_columns=columns,
            drop_missing=data.drop_missing,
            sheet=data.sheet,
            optional_text_columns=data.optional_text_columns,
        )


@contextmanager
def local_copy(place: Path | str, s3: S3Settings) -> Iterator[Path]:
    """Give the file's path; a file in S3 is copied for as long as the body runs, and errors name it by its address.

    Raises:
        UsageError: The address names no object.
        NotFoundError: There is no such object.
        OutsideError: S3 does not answer.
    """
    if isinstance(place, Path) or not place.startswith(S3):
        yield Path(place)
        return
    bucket, key = bucket_and_key(place, _HINT)
    name = PurePosixPath(key).name
    if not name:
        raise UsageError(f"{place} names no file: s3://BUCKET/KEY", hint=_HINT)
    with tempfile.TemporaryDirectory(prefix="passerelle-data-") as folder:
        path = Path(folder) / name
        _copy(place, Objects(s3.model_copy(update={"bucket": bucket})), key, path)
        try:
            yield path
        except UsageError as error:
            hint = error.hint.replace(shell_word(path), shell_word(place)) if error.hint else None
            raise _same_error(error, error.message.replace(str(path), place), hint) from None


def _copy(place: str, objects: Objects, key: str, path: Path) -> None:
    try:
        content, size = objects.stream(key)
        check_size(Path(path.name), size)
        with path.open("wb") as file:
            shutil.copyfileobj(content, file)
    except NotFoundError:
        raise NotFoundError(f"there is no object {place}", hint=_HINT) from None
    except HTTPError as error:
        raise OutsideError(f"S3 broke off in the middle of {place}", hint="passerelle status") from error


@contextmanager
def repeating_options(given: Mapping[str, object]) -> Iterator[None]:
    """Let the hint of an error repeat the options that were typed, so that it can be typed as it stands.

    Args:
        given: The fields of the data that were asked for.
    """
    try:
        yield
    except DataError as error:
        if given["path"] is None or error.hint is None:
            raise
        values = {
            option: value if isinstance(value, tuple) else (value,) for name, option in _OPTIONS.items() if (value := given.get(name))
        }
        typed = [f"{option} {shell_word(value)}" for option, several in values.items() for value in several]
        line = " ".join(["passerelle train", *typed, *(["--drop-missing"] if given["drop_missing"] else [])])
        longer = "\n".join(_BEGINNING.sub(lambda found: f"{line} {found[1]}", each) for each in error.hint.split("\n"))
        raise _same_error(error, error.message, longer) from error


def _same_error(error: UsageError, message: str, hint: str | None) -> UsageError:
    """Return an error of the same kind with other words."""
    return type(error)(message, hint=hint)


def which_columns(path: Path, sheet: str | None, texts: Sequence[str], features: Sequence[str], label: str | None) -> UsageError:
    """Return the error that lists the columns of a file, and whose hint is the line to type with those that are plain.

    Args:
        path: The file.
        sheet: Of a workbook.
        texts: Columns that were named already.
        features: Columns that were named already.
        label: Column of the class, where it was named already.

    Raises:
        DataError: The file cannot be read, lacks a column that was named, or seems to have no header.
    """
    table, notes = read_table(path, [*texts, *features, *([label] if label else [])], sheet=sheet)
    if lacks_header(table):
        return without_header(path, table)
    columns = columns_of(table)
    noted = "".join(f"\n  note: {note}" for note in notes)
    missing = "the class" if texts or features else "the text" if label else "the text and the class"
    message = f"which columns of {path} hold {missing}? It has {len(table):,} rows and {len(columns)} columns:\n{listing(columns)}{noted}"
    return UsageError(message, hint=line_to_type(path, sheet, columns, texts=texts, features=features, label=label))
