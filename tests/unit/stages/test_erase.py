"""An erasure removes a person's rows from every place, touches the days of these answers alone, and can be interrupted."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from passerelle.errors import NotFoundError, OutsideError, UsageError
from passerelle.model.manifest import digest_of_file
from passerelle.monitoring.prediction_log.exports import RegisteredExport
from passerelle.monitoring.prediction_log.log_place import LogFolder
from passerelle.monitoring.prediction_log.parquet_files import sweep_staging, take_out
from passerelle.monitoring.prediction_log.partitions import read_feedback, read_table
from passerelle.monitoring.prediction_log.trees import PREDICTIONS, TEXTS
from passerelle.names import DATA_EXPORT
from passerelle.registry.log_bucket import LogBucket
from passerelle.retention_settings import RetentionSettings
from passerelle.stages.erase import Erasure, _check_log, _erased
from passerelle.stages.erase_options import ids_to_erase
from passerelle.stages.erasure_limits import versions_from_exports
from passerelle.stages.log_collection import Collector
from passerelle.stages.log_location import LogLocation
from tests.unit.monitoring.prediction_log.log_files import MONDAY, TUESDAY, feedback, prediction, prediction_id, write_lines
from tests.unit.registry.memory import Bucket, Mlflow, real
from tests.unit.stages.kills import Killed, killed_at

GONE, STAYS = prediction(text="Chez moi, 3 rue de la Paix"), prediction(text="Un arbre")


def location(tmp_path: Path, *, bucket: bool = True) -> LogLocation:
    far = LogFolder(tmp_path / "bucket") if bucket else None
    return LogLocation(tmp_path / "log", cast("LogBucket | None", far), RetentionSettings.read({}))


def erased(where: LogLocation, *ids: str, dry_run: bool = False) -> Erasure:
    return _erased(where, frozenset(ids or (GONE.prediction_id,)), dry_run=dry_run, progress=lambda _: None)


def collect(where: LogLocation, *, today: date = MONDAY) -> None:
    Collector(where, today=today).collect()


def traces(folder: Path) -> list[str]:
    """Return the files that hold the text or, but for the list of erased ids, the id."""
    found = []
    for path in (path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content = repr(pq.read_table(path).to_pylist()).encode()
        if b"rue de la Paix" in content or (GONE.prediction_id.encode() in content and "erasures" not in path.parts):
            found.append(path.relative_to(folder).as_posix())
    return found


@contextmanager
def everywhere(tmp_path: Path) -> Iterator[LogLocation]:
    """Yield a log that holds the answer in the bucket, in Parquet that waits, in closed, open and rejected lines, and in feedback."""
    where = location(tmp_path)
    write_lines(where.folder, "closed/predictions-1-7-1.jsonl", [GONE, STAYS])
    wrong = b'{"prediction_id": "' + GONE.prediction_id.encode() + b'", "words": "3 rue de la Paix"}\n'
    write_lines(
        where.folder, "closed/feedback-1-7-1.jsonl", [feedback(GONE.prediction_id, comment="rue de la Paix")], more=wrong[:-2] + b"\n"
    )
    collect(where)
    LogFolder(where.folder).add(f"{TEXTS.partition(MONDAY)}/waits.parquet", next((tmp_path / "bucket").rglob("texts/*/*.parquet")))
    write_lines(where.folder, "closed/predictions-1-7-2.jsonl", [STAYS, GONE])
    path = write_lines(where.folder, "open/predictions-2-7.jsonl", [GONE, STAYS])
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield where


def test_an_answer_is_removed_from_every_place(tmp_path: Path) -> None:
    with everywhere(tmp_path) as where:
        before = traces(tmp_path)
        assert {name.split("/")[1] for name in before} == {"closed", "open", "parquet", "rejected"}
        assert erased(where, dry_run=True).rows == 8
        assert traces(tmp_path) == before
        done = erased(where)
        assert (done.rows, done.unknown, done.days, done.changed) == (8, (), (MONDAY,), True)
        assert traces(tmp_path) == []
        assert read_table(where.place, PREDICTIONS, [MONDAY], ["prediction_id"])["prediction_id"].to_pylist() == [STAYS.prediction_id]
        assert not erased(where).changed
        collect(where, today=TUESDAY)
        assert traces(tmp_path) == []
        assert read_table(where.place, TEXTS, [MONDAY]).num_rows == 1


def test_a_worker_that_writes_meanwhile_goes_on_in_the_same_file(tmp_path: Path) -> None:
    where = location(tmp_path)
    path = write_lines(where.folder, "open/predictions-1-7.jsonl", [GONE])
    with path.open("ab") as worker:
        inode = path.stat().st_ino
        erased(where)
        worker.write(json.dumps(STAYS._asdict()).encode() + b"\n")
    assert path.stat().st_ino == inode
    assert read_table(where.place, PREDICTIONS, [MONDAY], ["prediction_id"])["prediction_id"].to_pylist() == [STAYS.prediction_id]


def test_an_answer_that_arrives_later_from_another_replica_is_left_out(tmp_path: Path) -> None:
    where = location(tmp_path)
    where.folder.mkdir()
    assert erased(where).unknown == (GONE.prediction_id,)
    write_lines(where.folder, "closed/predictions-1-7-1.jsonl", [GONE, STAYS])
    write_lines(where.folder, "closed/feedback-1-7-1.jsonl", [feedback(GONE.prediction_id)])
    assert read_table(where.place, PREDICTIONS, [MONDAY]).num_rows == 1
    assert read_feedback(where.place, [MONDAY]).num_rows == 0
    collect(where)
    assert traces(tmp_path) == []


def test_killed_at_any_step_and_run_again_it_completes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)

    def erased_until(where: LogLocation, number: int) -> bool:
        try:
            with killed_at(number, ((Path, "unlink"), (Path, "replace"), (os, "pwrite")), monkeypatch):
                erased(where)
        except Killed:
            return False
        return True

    for number in range(1, 1000):
        with everywhere(tmp_path / str(number)) as where:
            complete = erased_until(where, number)
            if number % 2 or complete:
                erased(where)
            else:  # the collector of the folder does it
                collect(where)
                erased(where)
            assert traces(tmp_path / str(number)) == [], number
            assert read_table(where.place, PREDICTIONS, [MONDAY], ["prediction_id"])["prediction_id"].to_pylist() == [STAYS.prediction_id]
        if complete:
            assert number > 15, "the effects are counted"
            return


def test_twenty_million_rows_are_searched_by_reading_one_day(tmp_path: Path) -> None:
    ids = sorted(prediction_id(MONDAY, hour) for hour in range(24) for _ in range(1142))
    rows = {name: [value] * len(ids) for name, value in STAYS._asdict().items() if name in PREDICTIONS.columns}
    first = tmp_path / "log" / PREDICTIONS.partition(MONDAY) / "day.parquet"
    first.parent.mkdir(parents=True)
    pq.write_table(pa.table(rows | {"prediction_id": ids}), first, compression="zstd")
    for number in range(1, 730):
        folder = tmp_path / "log" / PREDICTIONS.partition(MONDAY - timedelta(days=number))
        folder.mkdir()
        (folder / "day.parquet").hardlink_to(first)
    where = location(tmp_path, bucket=False)
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in where.folder.rglob("*.parquet")}
    assert len(before) * len(ids) > 20_000_000
    began = time.perf_counter()
    done = erased(where, ids[500])
    print(f"erased from {len(before) * len(ids):,} rows in {time.perf_counter() - began:.2f} s")  # noqa: T201 - a figure, not a limit
    after = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in where.folder.rglob("*.parquet")}
    assert (done.rows, {path for path in before if path not in after}) == (1, {first})
    assert all(before[path] == after[path] for path in after if path in before)
    assert len(after) == len(before)
    assert read_table(where.place, PREDICTIONS, [MONDAY], ["label"]).num_rows == len(ids) - 1


def test_columns_that_this_passerelle_does_not_know_are_kept(tmp_path: Path) -> None:
    store, folder = LogFolder(tmp_path), tmp_path / PREDICTIONS.partition(MONDAY)
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"prediction_id": [GONE.prediction_id, STAYS.prediction_id], "mood": ["cross", "calm"]}), folder / "1.parquet")
    assert take_out(store, MONDAY, [GONE.prediction_id]).rows == 1
    assert pq.read_table(folder)["mood"].to_pylist() == ["calm"]


@pytest.mark.parametrize("name", ["export.csv", "export.parquet"])
def test_registered_exports_lose_the_rows_and_those_elsewhere_are_named(tmp_path: Path, name: str) -> None:
    where, path = location(tmp_path, bucket=False), tmp_path / name
    rows = pa.table({"prediction_id": [GONE.prediction_id, STAYS.prediction_id], "text": ["3 rue de la Paix", 'Un arbre; "haut"\n']})
    if path.suffix == ".csv":
        body = f'{GONE.prediction_id};3 rue de la Paix\n{STAYS.prediction_id};"Un arbre; ""haut""\n"\n'
        path.write_text("\ufeffprediction_id;text\n" + body, encoding="utf-8")
    else:
        pq.write_table(rows, path)
    for each in (path, tmp_path / "moved.csv"):
        export = RegisteredExport(each, digest_of_file(path), "2026-11-25T08:00:00", "marie@desk")
        (where.folder / export.name).parent.mkdir(parents=True, exist_ok=True)
        (where.folder / export.name).write_bytes(export.content())
    done = erased(where)
    assert (done.rows, done.exports) == (1, (path,))
    assert any("moved.csv by marie@desk" in sentence for sentence in done.elsewhere)
    if path.suffix == ".csv":
        expected = f'\ufeffprediction_id;text\n{STAYS.prediction_id};"Un arbre; ""haut""\n"\n'
        assert path.read_bytes().decode() == expected
    else:
        assert pq.read_table(path).to_pylist() == rows.to_pylist()[1:]


def test_an_export_that_cannot_be_rewritten_is_named(tmp_path: Path) -> None:
    where, path = location(tmp_path, bucket=False), tmp_path / "export.csv"
    path.write_text("text;label\n", encoding="utf-8")
    export = RegisteredExport(path, digest_of_file(path), "2026-11-25T08:00:00", "marie@desk")
    (where.folder / "exports").mkdir(parents=True)
    (where.folder / export.name).write_bytes(export.content())
    with pytest.raises(OutsideError, match=r"export\.csv"):
        erased(where)


def test_ids_are_checked_before_anything_is_erased(tmp_path: Path) -> None:
    assert ids_to_erase([GONE.prediction_id.upper(), GONE.prediction_id], None) == {GONE.prediction_id}
    path = tmp_path / "ids"
    path.write_text(f"\ufeff{GONE.prediction_id}\r\n\r\nnot an id\r\n", encoding="utf-8")
    with pytest.raises(UsageError, match="1 of 2 ids are not ids of answers, the first of them is number 2"):
        ids_to_erase([], path)
    with pytest.raises(UsageError, match="no answer is named"):
        ids_to_erase([], None)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be read"):
        ids_to_erase([], path)


def test_a_log_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no prediction log"):
        _check_log(location(tmp_path, bucket=False))


def test_versions_that_learned_from_an_export_are_named() -> None:
    mlflow = Mlflow(Bucket(), versions=2)
    assert list(versions_from_exports(real(mlflow))) == []
    mlflow.tags[2][DATA_EXPORT] = "sha256:1"
    (sentence,) = versions_from_exports(real(mlflow))
    assert "version 2, which learned from an export" in sentence
    assert "data/held_out.parquet" in sentence


def test_what_a_killed_process_left_in_the_temporary_folder_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name, age_s in (("passerelle-log-old", 7_200), ("passerelle-log-new", 0), ("other", 7_200)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rows.parquet").write_bytes(b"text")
        os.utime(tmp_path / name, (time.time() - age_s,) * 2)
    sweep_staging()
    assert {path.name for path in tmp_path.iterdir()} == {"passerelle-log-new", "other"}
