"""A split together with its bytes, for a machine that does not have the disk on which its file lies."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO, cast

import pyarrow as pa
from pyarrow.parquet import ParquetFile

from passerelle.batch.table_file import LocalFile
from passerelle.batch.table_plan import TableSplit
from passerelle.errors import DataError, shell_word
from passerelle.seekable_reader import SeekableReader

#: Arrow reads at least this much of the end of a Parquet file.
_FOOTER_BYTES = 64 << 10


@dataclass(frozen=True)
class TablePieces:
    """The parts of a file that one split needs, each with the place where it begins."""

    name: str
    size_bytes: int
    pieces: tuple[tuple[int, bytes], ...]

    def open(self) -> BinaryIO:
        """Return the file's content, of which only the pieces can be read."""
        return cast("BinaryIO", io.BufferedReader(_Pieces(self)))


def with_content(split: TableSplit, columns: Sequence[str]) -> TableSplit:
    """Return a split that needs no disk: with its bytes where its file lies on one, else as it is.

    Args:
        columns: That are read, of a Parquet file.

    Raises:
        DataError: The file was changed since it was cut, or is damaged.
    """
    file = split.file
    if not isinstance(file, LocalFile) or (split.lines is not None and split.lines.too_long):
        return split
    with file.open() as content:
        if split.lines is not None:
            ranges = [(split.lines.begin, split.lines.end)]
        else:
            try:
                ranges = list(_parquet_ranges(content, file.size_bytes, split.group, columns))
            except (pa.ArrowException, OSError) as error:
                raise DataError(f"{file.name} cannot be read as Parquet: it is damaged", hint=f"ls -l {shell_word(file.name)}") from error
        pieces = []
        for begin, end in ranges:
            content.seek(begin)
            pieces.append((begin, content.read(end - begin)))
    file.check()
    return replace(split, file=TablePieces(file.name, file.size_bytes, tuple(pieces)))


def _parquet_ranges(content: BinaryIO, size: int, group: int, columns: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield where the columns of a row group lie, and where the footer does."""
    content.seek(size - 8)
    footer = size - 8 - int.from_bytes(content.read(4), "little")
    content.seek(0)
    with ParquetFile(content) as table:
        row_group = table.metadata.row_group(group)
        for number in range(row_group.num_columns):
            column = row_group.column(number)
            # A path of a nested column begins with its name, which may itself hold dots.
            if any(f"{column.path_in_schema}.".startswith(f"{name}.") for name in columns):
                begin = min(column.dictionary_page_offset or column.data_page_offset, column.data_page_offset)
                yield begin, begin + column.total_compressed_size
    yield max(0, min(footer, size - _FOOTER_BYTES)), size


class _Pieces(SeekableReader):
    """Pieces of a file, read from any place within one of them."""

    def __init__(self, table: TablePieces) -> None:
        super().__init__(table.size_bytes)
        self._table = table

    def part(self, begin: int, end: int) -> memoryview:
        # Of overlapping pieces the one that reaches furthest.
        fitting = [(first, piece) for first, piece in self._table.pieces if first <= begin < first + len(piece)]
        if not fitting:
            raise OSError(f"byte {begin} of {self._table.name} is not among the pieces of this split")
        first, piece = max(fitting, key=lambda each: each[0] + len(each[1]))
        return memoryview(piece)[begin - first : end - first]
