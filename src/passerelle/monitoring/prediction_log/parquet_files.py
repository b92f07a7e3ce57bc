"""Parquet files of the log: written from lines, several of one day joined, and rows taken out."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from passerelle.monitoring.prediction_log.arrow_rows import parquet_file, repeated_rows, schema_of, table_of, without_ids
from passerelle.monitoring.prediction_log.lines import ParsedLines, RejectedLine
from passerelle.monitoring.prediction_log.log_place import LogStore
from passerelle.monitoring.prediction_log.trees import TREES, Tree

_DIGITS = 16
_ROW_GROUP = 131_072
_STAGING = "passerelle-log-"
#: A file is written and sent in less time.
_STAGED_AT_MOST_S = 3_600.0
_BY_NAME = {tree.name: tree for tree in TREES}


class GatheredRows:
    """The rows of a file of lines, by tree and day."""

    def __init__(self) -> None:
        self.rejected: list[RejectedLine] = []
        self.torn = 0
        self._tables: dict[tuple[str, date], list[pa.Table]] = {}

    def add(self, parsed: ParsedLines) -> None:
        """Add the next lines."""
        self.rejected += parsed.rejected
        self.torn += parsed.torn
        for (tree, day), rows in parsed.rows.items():
            self._tables.setdefault((tree, day), []).append(table_of(_BY_NAME[tree], rows))

    def write(self, store: LogStore, stem: str, erased: Callable[[date], frozenset[str]]) -> dict[str, int]:
        """Write a file for each tree and day, and return the number of rows by tree.

        Args:
            stem: Of the files' names.
            erased: Returns the erased ids of a day.

        Raises:
            OutsideError: As `LogStore.add`.
        """
        written: dict[str, int] = {}
        for (name, day), tables in sorted(self._tables.items()):
            tree = _BY_NAME[name]
            table = in_order(tree, without_ids(pa.concat_tables(tables), erased(day)))
            if table.num_rows:
                add_parquet(store, f"{tree.partition(day)}/{stem}.parquet", table)
                written[name] = written.get(name, 0) + table.num_rows
        return written


def in_order(tree: Tree, table: pa.Table) -> pa.Table:
    """Return the rows sorted by their key, each key once."""
    keys = table.select(list(tree.key)).cast(schema_of(tree, tree.key))
    return table.filter(pa.array(~repeated_rows(tree, [], [keys]))).sort_by([(name, "ascending") for name in tree.key])


def add_parquet(store: LogStore, name: str, table: pa.Table) -> bool:
    """Write a table as a file of the log; return False where the name is there already.

    Raises:
        OutsideError: As `LogStore.add`.
    """
    with staging_folder() as folder:
        path = folder / "rows.parquet"
        pq.write_table(table, path, compression="zstd", row_group_size=_ROW_GROUP)
        return store.add(name, path)


@contextmanager
def staging_folder() -> Iterator[Path]:
    """Yield a temporary folder, which only this user can enter."""
    with tempfile.TemporaryDirectory(prefix=_STAGING) as folder:
        yield Path(folder)


def sweep_staging() -> None:
    """Remove the temporary folders that killed processes of this user left: they may hold texts, which nothing else would find."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_STAGING}*"):
        with suppress(OSError):  # another user's, or gone meanwhile
            found = folder.stat()
            if found.st_uid == os.getuid() and time.time() - found.st_mtime > _STAGED_AT_MOST_S:
                shutil.rmtree(folder)


def short_digest(*parts: str) -> str:
    """Return what tells files of the log apart that were made of different things."""
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:_DIGITS]


def joined(store: LogStore, tree: Tree, day: date, names: Sequence[str], *, erased: frozenset[str]) -> bool:
    """Write one file in the place of several of a day; return False, and change nothing, where a newer passerelle wrote one of them.

    The new file is there before the others are removed: after an interruption some rows are there twice, and readers drop them.

    Args:
        erased: Ids whose rows are left out.

    Raises:
        FileNotFoundError: One was removed meanwhile, as by another collector; the next collection goes on.
        OutsideError: A file cannot be read or written.
    """
    with ExitStack() as stack:
        files = [parquet_file(stack.enter_context(store.open(name)), name) for name in names]
        if any(set(file.schema_arrow.names) - set(tree.columns) for file in files):
            return False
        tables = [file.read() for file in files]
    table = in_order(tree, without_ids(pa.concat_tables([_todays(tree, table) for table in tables]), erased))
    new = f"{tree.partition(day)}/day-{short_digest(*sorted(names), *sorted(erased))}.parquet"
    if table.num_rows:
        add_parquet(store, new, table)
    store.remove(name for name in names if name != new)
    return True


def _todays(tree: Tree, table: pa.Table) -> pa.Table:
    """Return a table with today's columns; what it lacks is null."""
    schema = schema_of(tree)
    columns = [
        table[each.name].cast(each.type) if each.name in table.column_names else pa.nulls(table.num_rows, each.type) for each in schema
    ]
    return pa.table(columns, schema=schema)


@dataclass
class RowsTakenOut:
    """What was taken out of a place.

    Attributes:
        ids: Of the answers that were there.
        rows: Number of all rows and lines.
        former: Number of former versions of objects.
    """

    ids: set[str]
    rows: int = 0
    former: int = 0

    def add(self, other: RowsTakenOut) -> None:
        """Add what was taken out of another place."""
        self.ids |= other.ids
        self.rows += other.rows
        self.former += other.former


def take_out(store: LogStore, day: date, ids: Iterable[str], *, dry_run: bool = False) -> RowsTakenOut:
    """Rewrite the files of a day that hold rows of these answers, in all trees, without them; keeps all columns, also unknown ones.

    Raises:
        OutsideError: A file cannot be read or written.
    """
    chosen, found = frozenset(ids), RowsTakenOut(set())
    for tree in TREES:
        folder = f"{tree.partition(day)}/"
        for name in store.names(folder):
            found.add(_taken_out(store, tree, day, name=name, ids=chosen, dry_run=dry_run))
        if not dry_run:
            found.former += store.remove_former(folder)
    return found


def _taken_out(store: LogStore, tree: Tree, day: date, *, name: str, ids: frozenset[str], dry_run: bool) -> RowsTakenOut:
    try:
        opened = store.open(name)
    except FileNotFoundError:  # joined with others by a collector: the new file was there before, and is looked at in the next round
        return RowsTakenOut(set())
    with opened as stream:
        file = parquet_file(stream, name)
        present = file.read(["prediction_id"])["prediction_id"]
        hits = present.filter(pc.is_in(present, value_set=pa.array(sorted(ids), pa.string())))
        if not len(hits):
            return RowsTakenOut(set())
        if not dry_run:
            left = without_ids(file.read(), ids)
            # The same name at each attempt, and another one than before: a name stands for its content.
            if left.num_rows:
                add_parquet(store, f"{tree.partition(day)}/rest-{short_digest(name, *sorted(ids))}.parquet", left)
            store.remove([name])
    return RowsTakenOut(set(hits.to_pylist()), len(hits))
