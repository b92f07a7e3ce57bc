"""The records to learn from: read, checked, and named by a digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from passerelle.errors import DataError, UsageError, shell_word
from passerelle.model.text_limits import text_fault
from passerelle.training.feedback_table import FeedbackExport, read_description
from passerelle.training.reading import read_table

Kind = Literal["text", "tabular"]
#: The field of a record of one text, whatever the name of its column in the file; several texts keep the names of their columns.
TEXT = "text"
#: Columns beside the fields of a record in what a training stores of its data: its class, and the near-duplicates that it is one of.
LABEL, GROUP = "label", "group"
_ROWS_NAMED = 5
#: From so many different strings of such a length on, a column of a table is taken for a text.
_FREE_TEXTS, _FREE_TEXT_CHARACTERS = 10, 40


@dataclass(frozen=True)
class Dataset:
    """Records and their labels.

    Attributes:
        records: One row a record; the single column `text`, the columns of several texts, or the feature columns of a table.
        labels: One string a record, with the same index.
        digest: `sha256:…` of the records and labels in their order, whatever the file's encoding was.
        source: The file's name, without its folder.
        kind: Whether a record is one or several texts, or a row of features.
        notes: What was assumed about the file, one sentence each.
        export: What is said of it where it is an unchanged export of corrected answers.
        optional_texts: Fields of texts that a record may leave out; an empty text stands for one that is left out.
    """

    records: pd.DataFrame
    labels: pd.Series
    digest: str
    source: str
    kind: Kind
    notes: tuple[str, ...] = ()
    export: FeedbackExport | None = None
    optional_texts: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in the order of the alphabet."""
        return tuple(sorted(set(self.labels)))

    @property
    def joined_texts(self) -> pd.Series:
        """The texts of each record as one, with a space between them."""
        return joined_texts(self.records)


def read_data(
    path: Path,
    *,
    text_column: str | Sequence[str] | None,
    label_column: str,
    feature_columns: Sequence[str] | None = None,
    drop_missing: bool = False,
    sheet: str | None = None,
    optional_text_columns: Sequence[str] = (),
) -> Dataset:
    """Return the records of a file that `read_table` reads.

    Args:
        path: Read by `read_table`, with the sheet. Byte-order mark, Windows-1252 (Latin-1) and other separators are recognised and noted.
        text_column: Column of the text, which is named `text` in the records; or columns of several texts, which keep their names.
        label_column: Column of the class.
        feature_columns: Columns of a table without text, in place of those with text.
        drop_missing: Leave rows without text, feature or class, and texts that the service refuses, out instead of refusing the file.
        optional_text_columns: Further columns of texts; a record may leave each of them out, and one without it has an empty text there.

    Raises:
        DataError: The file or a column is absent, empty, unreadable, or holds one class only.
        UsageError: The columns contradict each other.
    """
    texts, optional = _texts_named(path, text_column, optional_text_columns)
    columns = _columns(path, texts, label_column, feature_columns)
    table, notes = read_table(path, [*columns, label_column], sheet=sheet)
    table = table[[*columns, label_column]]
    for name in texts:
        _check_is_text(path, table[name])
    table, dropped = _complete(path, table, optional, drop_missing=drop_missing)
    for name in texts:
        table, faulty = _bounded(path, table, name, drop=drop_missing)
        dropped = (*dropped, *faulty)
    labels = _labels(path, table[label_column])
    records = _texts(table, texts) if texts else _features(path, table, columns, label_column)
    export, of_export = read_description(path)
    noted = (*notes, *([of_export] if of_export else []), *dropped, *_contradictions(records, labels))
    kind: Kind = "text" if texts else "tabular"
    return Dataset(records, labels, digest_of(records, labels, optional), path.name, kind, noted, export, optional)


def joined_texts(records: pd.DataFrame) -> pd.Series:
    """Return the texts of each record as one, with a space between them."""
    joined = records.iloc[:, 0]
    for place in range(1, len(records.columns)):
        joined = joined + " " + records.iloc[:, place]
    return joined


def digest_of(records: pd.DataFrame, labels: pd.Series, optional_texts: Sequence[str] = ()) -> str:
    """Return `sha256:…` of the fields' names, which of them a record may leave out, the records and the labels, in their order."""
    fields = [list(records.columns), *([sorted(optional_texts)] if optional_texts else [])]
    digest = hashlib.sha256("\n".join(json.dumps(names, ensure_ascii=False) for names in fields).encode())
    for row, label in zip(records.to_dict(orient="split")["data"], labels, strict=True):
        line = json.dumps([*row, label], ensure_ascii=False, default=str)
        digest.update(b"\n" + line.encode("utf-8", "surrogatepass"))
    return f"sha256:{digest.hexdigest()}"


def _columns(path: Path, texts: Sequence[str], label_column: str, feature_columns: Sequence[str] | None) -> list[str]:
    columns = list(texts or feature_columns or ())
    usage = f"passerelle train --data {shell_word(path)} --text-column COLUMN --label-column COLUMN"
    if not columns:
        raise UsageError(
            f"no column of {path} is named to learn from",
            hint=f"{usage}\npasserelle train --data {shell_word(path)} --feature-column COLUMN --label-column COLUMN",
        )
    if texts and feature_columns:
        raise UsageError("text columns and feature columns are both given", hint=usage)
    if label_column in columns:
        raise UsageError(f"'{label_column}' is both the class and what it is learned from", hint=usage)
    if len(set(columns)) < len(columns):
        raise UsageError(f"a {'text' if texts else 'feature'} column is given twice", hint=usage)
    taken = {LABEL, GROUP}.intersection(columns) if len(texts) != 1 else ()
    if taken:
        message = f"a record cannot have the field '{min(taken)}', a name under which a training keeps something else: rename the column"
        raise UsageError(message, hint=usage)
    return columns


def _texts_named(path: Path, required: str | Sequence[str] | None, optional: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    texts = (*((required,) if isinstance(required, str) else required or ()), *optional)
    if optional and len(texts) == len(optional):
        line = f"passerelle train --data {shell_word(path)} --text-column COLUMN --optional-text-column {shell_word(optional[0])}"
        raise UsageError("a record may leave out every text: name one that each record has", hint=f"{line} --label-column COLUMN")
    return texts, tuple(optional)


def _is_blank(column: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.isna()
    return column.isna() | (column.astype(str).str.strip() == "")


def _check_is_text(path: Path, column: pd.Series) -> None:
    again = f"passerelle train --data {shell_word(path)}"
    if not all(isinstance(value, str) for value in column.dropna()):
        raise DataError(
            f"{path}: the column '{column.name}' holds {column.dtype}, not text",
            hint=f"{again} --text-column COLUMN\n{again} --feature-column COLUMN",
        )


def is_free_text(column: pd.Series) -> bool:
    """Return whether a column holds words of people's own rather than categories: many long strings, most of them different."""
    if not all(isinstance(value, str) for value in column):
        return False
    distinct = column.nunique()
    return bool(distinct >= _FREE_TEXTS and distinct > len(column) / 2 and column.str.len().median() >= _FREE_TEXT_CHARACTERS)


def _check_no_text(path: Path, features: pd.DataFrame, label_column: str) -> None:
    """Check that no feature is a text: each of its values would be a category of its own, which no other record has."""
    texts = [str(name) for name in features.columns if is_free_text(features[name])]
    if texts:
        named = " and ".join(f"'{name}'" for name in texts)
        columns = " --text-column ".join(map(shell_word, texts))
        hint = f"passerelle train --data {shell_word(path)} --text-column {columns} --label-column {shell_word(label_column)}"
        raise UsageError(
            f"{path}: {named} {'holds' if len(texts) == 1 else 'hold'} long texts, nearly all different: no feature", hint=hint
        )


def _check_not_all_blank(path: Path, blank: pd.DataFrame) -> None:
    for name in blank.columns:
        if blank[name].all():
            raise DataError(
                f"{path}: the column '{name}' is empty",
                hint=f"passerelle train --data {shell_word(path)} --text-column COLUMN",
            )


def _complete(path: Path, table: pd.DataFrame, optional: Sequence[str], *, drop_missing: bool) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the rows without missing values, with a new index; raise DataError where there are others and `drop_missing` is not set."""
    table = table.assign(**{name: table[name].astype(object).mask(_is_blank(table[name]), "") for name in optional})
    blank = table.drop(columns=list(optional)).apply(_is_blank)
    _check_not_all_blank(path, blank)
    gaps = blank.any(axis=1)
    if not gaps.any():
        return table.reset_index(drop=True), ()
    if drop_missing:
        if gaps.all():
            raise DataError(f"{path}: every row misses a value", hint=f"passerelle train --data {shell_word(path)} --feature-column COLUMN")
        return table[~gaps].reset_index(drop=True), (f"{int(gaps.sum())} of {len(table)} rows miss a value and are left out",)
    name = next(name for name in blank.columns if blank[name].any())
    raise DataError(
        f"{path}: the column '{name}' is empty in {int(blank[name].sum())} of {len(table)} rows: {_named(blank[name])}",
        hint=f"passerelle train --data {shell_word(path)} --drop-missing",
    )


def _bounded(path: Path, table: pd.DataFrame, column: str, *, drop: bool) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the rows whose text the service accepts, with a new index; raise DataError if there are others and they are not dropped."""
    faults = table[column].map(text_fault)
    faulty = faults.notna()
    if not faulty.any():
        return table, ()
    if drop and not faulty.all():
        return table[~faulty].reset_index(drop=True), (
            f"{int(faulty.sum())} of {len(table)} rows have a text that the service refuses and are left out",
        )
    raise DataError(
        f"{path}: the service refuses the text of {int(faulty.sum())} of {len(table)} rows: {_named(faulty)}; "
        f"the first {faults[faulty].iloc[0]}",
        hint=f"passerelle train --data {shell_word(path)} --drop-missing",
    )


def _named(chosen: pd.Series) -> str:
    """Return the numbers of the first chosen rows, counted as in a spreadsheet."""
    rows = [row + 2 for row in chosen.index[chosen]]
    return ", ".join(map(str, rows[:_ROWS_NAMED])) + (", …" if len(rows) > _ROWS_NAMED else "") + " (the header is row 1)"


def _labels(path: Path, column: pd.Series) -> pd.Series:
    if pd.api.types.is_float_dtype(column.dtype) and (column == column.round()).all():
        column = column.astype("int64")
    labels = column.astype(str).str.strip().rename(LABEL)
    if labels.nunique() < 2:  # noqa: PLR2004 - a choice is between two
        raise DataError(
            f"{path}: the column '{column.name}' holds one class only, '{labels.iloc[0]}'",
            hint=f"passerelle train --data {shell_word(path)} --label-column COLUMN",
        )
    return labels


def _texts(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame({TEXT if len(names) == 1 else name: table[name].astype(str) for name in names})


def _features(path: Path, table: pd.DataFrame, names: Sequence[str], label_column: str) -> pd.DataFrame:
    features = pd.DataFrame({name: _feature(table[name]) for name in names})
    _check_no_text(path, features, label_column)
    return features


def _feature(column: pd.Series) -> pd.Series:
    """Return numbers as float64 (a decimal comma is understood), truth values and words unchanged."""
    if pd.api.types.is_bool_dtype(column.dtype):
        return column.astype(bool)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.astype("float64")
    texts = column.astype(str).str.strip()
    for written in (texts, texts.str.replace(",", ".", regex=False)):
        numbers = pd.to_numeric(written, errors="coerce")
        if numbers.notna().all():
            return numbers.astype("float64")
    return texts


def _contradictions(records: pd.DataFrame, labels: pd.Series) -> tuple[str, ...]:
    """Say how many records occur with more than one class."""
    columns = list(records.columns)
    by_record = records.assign(label=labels.to_numpy()).groupby(columns, sort=False)["label"].nunique()
    contradicting = int((by_record > 1).sum())
    return (f"{contradicting} records appear with more than one class",) if contradicting else ()
