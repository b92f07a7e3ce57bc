"""Files are planned several at once, to the same plans, and what is read is told."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pytest

from passerelle.batch import table_plans
from passerelle.batch.table_file import LocalFile
from passerelle.batch.table_plan import plan_of
from passerelle.batch.table_plans import plans_of
from passerelle.errors import DataError
from tests.unit.batch.tables import table, write_csv, write_parquet


@dataclass
class Meeting:
    """A file whose content comes only once another one is being read too."""

    file: LocalFile
    met: threading.Barrier

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def size_bytes(self) -> int:
        return self.file.size_bytes

    def open(self) -> BinaryIO:
        self.met.wait(timeout=20)
        return self.file.open()


def files_of(folder: Path) -> list[LocalFile]:
    paths = [write_csv(folder / f"{number}.csv", table(number + 1)) for number in range(3)]
    return [LocalFile.at(each) for each in (*paths, write_parquet(folder / "z.parquet", table(250)))]


def test_plans_are_those_of_each_file_in_order_and_read_at_once(tmp_path: Path) -> None:
    files, met = files_of(tmp_path), threading.Barrier(2)
    plans = plans_of([Meeting(file, met) for file in files], ["text"], progress=print)
    assert [plan.digest for plan in plans] == [plan_of(file, ["text"]).digest for file in files]
    assert [plan.rows for plan in plans] == [1, 2, 3, 250]
    assert plans_of([], ["text"], progress=print) == ()


def test_what_is_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_plans, "_SECONDS_BETWEEN", 0.0)
    lines: list[str] = []
    plans_of(files_of(tmp_path), ["text"], progress=lines.append)
    assert len(lines) >= 4
    assert all(" of 4 files done" in line for line in lines)


def test_the_first_file_that_is_no_table_is_named_and_the_rest_is_not_waited_for(tmp_path: Path) -> None:
    files = files_of(tmp_path)
    for name in ("4", "5"):
        (tmp_path / f"{name}.csv").write_text("no,other\n1,a\n")
        files.append(LocalFile.at(tmp_path / f"{name}.csv"))
    with pytest.raises(DataError, match=r"4\.csv has no column 'text'"):
        plans_of(files, ["text"], progress=print)
