"""Which data to train on: known, and refused where a file cannot be read, without importing what trains."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from passerelle.errors import UsageError
from passerelle.training.file_content import check_readable


@dataclass(frozen=True)
class TrainingData:
    """Which data to train on.

    Attributes:
        path: File that `read_table` reads, or its address s3://BUCKET/KEY; None for the demo's comments, which come with the project.
        text_columns: Columns that hold the texts.
        optional_text_columns: Further columns of texts, which a record may leave out.
        label_column: Column that holds the class.
        feature_columns: Columns of a table without text.
        drop_missing: Leave rows without text or class out instead of refusing the file.
        sheet: Of a workbook; by default the first.
        min_class_rows: Fewest distinct rows of a class that stays as it is.
        other: Class that rarer ones are put together as; None leaves them out.
    """

    path: Path | str | None = None
    text_columns: tuple[str, ...] = ()
    label_column: str | None = None
    feature_columns: tuple[str, ...] = ()
    drop_missing: bool = False
    sheet: str | None = None
    min_class_rows: int = 0
    other: str | None = None
    optional_text_columns: tuple[str, ...] = ()

    @property
    def names_records(self) -> bool:
        """Whether a column is named that the records hold."""
        return bool(self.text_columns or self.optional_text_columns or self.feature_columns)

    def check(self) -> None:
        """Check what can be seen without a server: a file of this machine is there and can be read.

        Raises:
            UsageError: Columns are named and no file is.
            DataError: There is no such file, it is a folder, or it cannot be read.
        """
        if self.path is None and (self.names_records or self.label_column):
            message = "columns are named and no file is"
            raise UsageError(message, hint="passerelle train --data FILE --text-column COLUMN --label-column COLUMN")
        if isinstance(self.path, Path):
            check_readable(self.path)
