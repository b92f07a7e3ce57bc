"""A table is scored once: an interrupted run goes on, and nothing else is overwritten."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from passerelle.batch import line_ranges, table_plan
from passerelle.batch.job import JOB_FILE, SUMMARY_FILE
from passerelle.batch.scored_file import scored_numbers_of
from passerelle.batch.table_file import LocalFolder
from passerelle.errors import DataError, OutsideError, UsageError
from tests.unit.batch.tables import contents, refused_rows, score, scored_rows, table, write_csv, write_parquet


@pytest.fixture(autouse=True)
def _small_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_ranges, "RANGE_BYTES", 300)
    monkeypatch.setattr(table_plan, "CHUNK_BYTES", 64)
    monkeypatch.setattr("passerelle.batch.table_file.CHUNK_BYTES", 64)
    monkeypatch.setattr(table_plan, "PARQUET_ROWS", 30)


@pytest.fixture
def tables(tmp_path: Path) -> list[Path]:
    rows = table(120)
    rows[50]["text"] = ""
    return [write_csv(tmp_path / "a.csv", rows), write_parquet(tmp_path / "b.parquet", rows)]


def test_killed_after_any_write_it_goes_on_to_the_same_output(tmp_path: Path, tables: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = score(tmp_path, *tables, output="whole")
    assert whole.splits > 10
    writes = len(contents(tmp_path / "whole")) + 2
    write = LocalFolder.write
    for last in (0, 1, 2, writes // 2, writes - 2, writes - 1):
        left = iter(range(last))

        def killed(folder: LocalFolder, name: str, content: bytes, left: object = left) -> None:
            if next(left, None) is None:  # type: ignore[call-overload]
                (folder.path / f"{name}.1.part").parent.mkdir(parents=True, exist_ok=True)
                (folder.path / f"{name}.1.part").write_bytes(content[: len(content) // 2])
                raise KeyboardInterrupt
            write(folder, name, content)

        monkeypatch.setattr(LocalFolder, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            score(tmp_path, *tables, output=f"from-{last}")
        monkeypatch.setattr(LocalFolder, "write", write)
        again = score(tmp_path, *tables, output=f"from-{last}")
        assert (again.rows, again.refused_rows) == (whole.rows, whole.refused_rows) == (238, 2)
        found = {name: content for name, content in contents(tmp_path / f"from-{last}").items() if not name.endswith(".part")}
        assert found == contents(tmp_path / "whole"), last


def test_the_second_run_changes_nothing(tmp_path: Path, tables: list[Path]) -> None:
    first = score(tmp_path, *tables)
    before = contents(tmp_path / "out")
    second = score(tmp_path, *tables)
    assert (first.changed, second.changed) == (True, False)
    assert (second.rows, second.refused_rows, second.done_before) == (first.rows, first.refused_rows, first.splits)
    assert contents(tmp_path / "out") == before


def test_what_is_written_last_says_what_was_scored(tmp_path: Path, tables: list[Path]) -> None:
    done = score(tmp_path, *tables)
    summary = json.loads((tmp_path / "out" / SUMMARY_FILE).read_text())
    assert [each["rows"] for each in summary["inputs"]] == [120, 120]
    assert all(each["digest"].startswith("sha256:") for each in summary["inputs"])
    assert (summary["model"]["version"], summary["rows"], summary["refused_rows"]) == ("7", 238, 2)
    assert summary["energy_wh"] == pytest.approx(done.cpu_seconds * summary["watts_a_core"] / 3_600, abs=1e-5)
    numbers = [(row["input"], row["row"]) for row in [*scored_rows(tmp_path), *refused_rows(tmp_path)]]
    assert sorted(numbers) == sorted((path.as_posix(), row) for path in tables for row in range(1, 121))


def test_a_dry_run_counts_and_writes_nothing(tmp_path: Path, tables: list[Path]) -> None:
    done = score(tmp_path, *tables, dry_run=True)
    assert (done.rows, done.files, done.done_before, done.changed) == (240, 2, 0, False)
    assert not (tmp_path / "out").exists()


def test_what_else_lies_in_the_output_is_not_overwritten(tmp_path: Path, tables: list[Path]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.csv").write_text("x")
    with pytest.raises(UsageError, match="holds other files"):
        score(tmp_path, *tables)
    score(tmp_path, tables[0], output="one")
    with pytest.raises(UsageError, match="holds the answers to other input"):
        score(tmp_path, *tables, output="one")
    with pytest.raises(UsageError, match="by other rules"):
        score(tmp_path, tables[0], output="one", ids=())


@pytest.mark.parametrize("output_format", ["parquet", "csv", "jsonl"])
def test_a_scored_file_that_was_damaged_is_named(tmp_path: Path, tables: list[Path], output_format: str) -> None:
    score(tmp_path, tables[0], output_format=output_format)
    (tmp_path / "out" / SUMMARY_FILE).unlink()
    damaged = next((tmp_path / "out" / "scored").iterdir())
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    with pytest.raises(DataError, match=damaged.name):
        score(tmp_path, tables[0], output_format=output_format)


def test_a_torn_last_row_of_csv_does_not_count() -> None:
    content = b'"row","label"\n1,"A"\n2,"Voirie"\n'
    assert scored_numbers_of(content, "csv") == [1, 2]
    assert scored_numbers_of(content[:-4], "csv") == [1]


@pytest.mark.parametrize("output_format", ["parquet", "csv", "jsonl"])
def test_another_file_in_the_place_of_a_scored_one_is_named(tmp_path: Path, tables: list[Path], output_format: str) -> None:
    score(tmp_path, *tables, output_format=output_format)
    (tmp_path / "out" / SUMMARY_FILE).unlink()
    begin = {path.name[:5]: path for path in sorted((tmp_path / "out" / "scored").iterdir(), reverse=True)}
    first = begin["00001"].read_bytes()
    second = sorted((tmp_path / "out" / "scored").iterdir())[1]
    begin["00001"].write_bytes(second.read_bytes())
    with pytest.raises(DataError, match=r"do not hold each of the rows 1 to \d+ once"):
        score(tmp_path, *tables, output_format=output_format)
    begin["00001"].write_bytes(begin["00002"].read_bytes())
    with pytest.raises(DataError, match="its rows have another 'input' than '"):
        score(tmp_path, *tables, output_format=output_format)
    begin["00001"].write_bytes(first)
    assert score(tmp_path, *tables, output_format=output_format).changed


def test_a_scored_file_that_is_gone_is_scored_again_though_the_summary_is_there(tmp_path: Path, tables: list[Path]) -> None:
    score(tmp_path, *tables)
    before = contents(tmp_path / "out")
    next((tmp_path / "out" / "scored").iterdir()).unlink()
    assert score(tmp_path, *tables).changed
    assert contents(tmp_path / "out") == before


def test_a_file_among_the_scored_ones_that_is_none_is_named(tmp_path: Path, tables: list[Path]) -> None:
    score(tmp_path, *tables)
    (tmp_path / "out" / "scored" / "mine.parquet").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"scored/mine\.parquet is no file of this run"):
        score(tmp_path, *tables)


def test_two_runs_that_begin_at_once_in_one_folder_do_not_mix(tmp_path: Path, tables: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    write = LocalFolder.write
    begun: list[str] = []

    def write_after_another(folder: LocalFolder, name: str, content: bytes) -> None:
        if name == JOB_FILE and not begun:
            begun.append(name)
            write(folder, name, content)
            with pytest.raises(UsageError, match="by other rules"):
                score(tmp_path, *tables, ids=())
        write(folder, name, content)

    monkeypatch.setattr(LocalFolder, "write", write_after_another)
    assert score(tmp_path, *tables).changed

    def write_before_another(folder: LocalFolder, name: str, content: bytes) -> None:
        write(folder, name, content)
        if name == JOB_FILE:
            write(folder, name, b"of another run")

    monkeypatch.setattr(LocalFolder, "write", write_before_another)
    with pytest.raises(UsageError, match="by other rules"):
        score(tmp_path, *tables, output="second")


def test_a_full_disk_leaves_no_incomplete_file(tmp_path: Path, tables: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    calls = iter(range(1_000))
    sync = os.fsync

    def full(descriptor: int) -> None:
        if next(calls) > 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutsideError, match="No space left on device; what is written so far is kept"):
        score(tmp_path, *tables)
    assert not list((tmp_path / "out").rglob("*.part"))
    monkeypatch.setattr(os, "fsync", sync)
    assert score(tmp_path, *tables).done_before > 0
    assert (tmp_path / "out" / JOB_FILE).is_file()


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutsideError, match=r"out/score-job\.json was not written: File exists"):
        LocalFolder(tmp_path / "out").write("score-job.json", b"{}")
