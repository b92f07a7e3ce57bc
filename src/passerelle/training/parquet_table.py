"""Tables of Parquet files, which keep their types."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
from pyarrow import ArrowException
from pyarrow.parquet import read_metadata

from passerelle.errors import DataError
from passerelle.training.file_content import OTHER_FILE, SAVE_AS_CSV, check_cells, check_size


def parquet_table(path: Path, content: bytes) -> pd.DataFrame:
    """Return the table.

    Args:
        path: Named in errors.
        content: Of the file.

    Raises:
        DataError: It is no Parquet file, or holds more than can be read.
    """
    try:
        found = read_metadata(io.BytesIO(content))
        check_cells(path, found.num_columns, found.num_rows)
        check_size(path, sum(found.row_group(place).total_byte_size for place in range(found.num_row_groups)))
        return pd.read_parquet(io.BytesIO(content)).reset_index(drop=True)
    except (ArrowException, OSError, ValueError) as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path} is not a Parquet file that can be read: {line}; {SAVE_AS_CSV}", hint=OTHER_FILE) from error
