"""A collection: each line becomes one row, whatever interrupts it, and what was kept long enough is removed."""

from __future__ import annotations

import fcntl
import os
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import cast

import pytest

from passerelle.errors import BusyError, OutsideError
from passerelle.monitoring.prediction_log.erasures import erasure_folder, erasure_list
from passerelle.monitoring.prediction_log.log_place import LogFolder
from passerelle.monitoring.prediction_log.partitions import read_feedback, read_table
from passerelle.monitoring.prediction_log.trees import PREDICTIONS, TEXTS
from passerelle.registry.log_bucket import LogBucket
from passerelle.retention_settings import RetentionSettings
from passerelle.stages.log_collection import Collection, Collector
from passerelle.stages.log_location import LogLocation
from tests.unit.monitoring.prediction_log.log_files import MONDAY, TUESDAY, feedback, prediction, prediction_id, write_lines
from tests.unit.stages.kills import Killed, killed_at

WEDNESDAY = TUESDAY + timedelta(days=1)


def location(tmp_path: Path, *, bucket: LogFolder | None = None, **settings: int) -> LogLocation:
    return LogLocation(tmp_path / "log", cast("LogBucket | None", bucket), RetentionSettings.read({}, **settings))


def collect(where: LogLocation, *, today: date = MONDAY, dry_run: bool = False) -> Collection:
    return Collector(where, today=today, dry_run=dry_run).collect()


def ids_in(where: LogLocation, *days: date) -> Counter[str]:
    return Counter(read_table(where.place, PREDICTIONS, days or (MONDAY, TUESDAY), ["prediction_id"])["prediction_id"].to_pylist())


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_lines_become_parquet_by_the_day_of_their_id_and_a_second_run_finds_nothing(tmp_path: Path) -> None:
    where = location(tmp_path)
    answers = [
        prediction(prediction_id(MONDAY, 23), text="Un arbre"),
        prediction(prediction_id(TUESDAY, 0)),
        prediction(prediction_id(MONDAY, 1)),
    ]
    write_lines(where.folder, "closed/predictions-1-7-1.jsonl", answers)
    write_lines(where.folder, "closed/feedback-1-7-1.jsonl", [feedback(answers[0].prediction_id)])
    done = collect(where)
    assert (done.files, done.rows, done.problem) == (2, {"feedback": 1, "predictions": 3, "texts": 1}, None)
    assert files_below(where.folder / "closed") == []
    assert ids_in(where) == Counter(each.prediction_id for each in answers)
    on_monday = read_table(where.place, PREDICTIONS, [MONDAY], ["prediction_id"])["prediction_id"].to_pylist()
    assert on_monday == [answers[2].prediction_id, answers[0].prediction_id]
    assert read_feedback(where.place, [MONDAY]).num_rows == 1
    assert not collect(where).changed


def test_a_file_of_a_worker_that_lives_is_left_alone_and_that_of_a_dead_one_is_collected(tmp_path: Path) -> None:
    where = location(tmp_path)
    path = write_lines(where.folder, "open/predictions-1-7.jsonl", [prediction()])
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert not collect(where).changed
        assert path.exists()
    done = collect(where)
    assert (done.closed, done.files, sum(ids_in(where).values())) == (1, 1, 1)


def test_torn_lines_are_counted_and_rejected_ones_are_kept_with_the_reason(tmp_path: Path) -> None:
    where = location(tmp_path)
    write_lines(where.folder, "closed/predictions-1-7-1.jsonl", [prediction()], more=b'{"prediction_id": 1}\n{"predic')
    done = collect(where)
    assert (done.torn, done.rejected, done.rows) == (1, 1, {"predictions": 1})
    (kept,) = (where.folder / "rejected").iterdir()
    assert "it has no prediction_id of an answer" in kept.read_text()


def test_a_dry_run_counts_and_changes_nothing(tmp_path: Path) -> None:
    where = location(tmp_path, bucket=LogFolder(tmp_path / "bucket"))
    write_lines(where.folder, "closed/predictions-1-7-1.jsonl", [prediction()])
    before = files_below(where.folder)
    assert collect(where, dry_run=True).files == 1
    assert files_below(where.folder) == before
    assert not (tmp_path / "bucket").exists()


class Away(LogFolder):
    """A bucket that takes no more objects than it is allowed to."""

    allowed = 0

    def add(self, name: str, source: Path) -> bool:
        if not self.allowed:
            raise OutsideError(f"{name} cannot be written: S3 is away")
        self.allowed -= 1
        return super().add(name, source)


def test_what_the_bucket_does_not_take_waits_and_is_sent_later_once(tmp_path: Path) -> None:
    bucket = Away(tmp_path / "bucket")
    where = location(tmp_path, bucket=bucket)
    first, second = prediction(text="Un arbre"), prediction(prediction_id(TUESDAY))
    write_lines(where.folder, "closed/predictions-1-7-1.jsonl", [first])
    done = collect(where)
    assert (done.files, done.sent, done.waiting) == (1, 0, 2)
    assert "S3 is away" in str(done.problem)
    write_lines(where.folder, "closed/predictions-2-7-2.jsonl", [second])
    bucket.allowed = 1
    assert (collect(where).waiting, sum(ids_in(where).values())) == (2, 2)
    bucket.allowed = 10**6
    done = collect(where)
    assert (done.sent, done.waiting, done.problem) == (2, 0, None)
    assert files_below(where.folder) == ["collector.lock"] or files_below(where.folder) == []
    assert ids_in(where) == Counter([first.prediction_id, second.prediction_id])
    assert read_table(where.place, TEXTS, [MONDAY]).num_rows == 1


def test_what_waits_for_the_bucket_is_bounded(tmp_path: Path) -> None:
    where = location(tmp_path, bucket=Away(tmp_path / "bucket"), log_backlog_bytes=1)
    for number in range(3):
        write_lines(where.folder, f"closed/predictions-1-7-{number}.jsonl", [prediction()])
    assert collect(where).files == 1
    done = collect(where)
    assert (done.files, done.waiting, len(files_below(where.folder / "closed"))) == (0, 1, 2)
    assert done.problem is not None


def test_the_files_of_a_day_that_is_over_become_one(tmp_path: Path) -> None:
    where = location(tmp_path, bucket=LogFolder(tmp_path / "bucket"))
    again = prediction(text="Un arbre")
    for number in range(3):
        write_lines(where.folder, f"closed/predictions-{number}-7-{number}.jsonl", [prediction(), again])
    assert collect(where, today=MONDAY).joined == 0
    before = ids_in(where)
    assert collect(where, today=TUESDAY).joined == 2
    assert ids_in(where) == before
    assert len(before) == 4
    assert [name.partition("/")[0] for name in files_below(tmp_path / "bucket" / "parquet")] == ["predictions", "texts"]
    assert not collect(where, today=TUESDAY).changed


def test_texts_go_before_the_rest_and_days_are_removed_as_a_whole(tmp_path: Path) -> None:
    where = location(tmp_path, bucket=LogFolder(tmp_path / "bucket"), log_text_days=2, log_days=4)
    old, new = prediction(text="Un arbre"), prediction(prediction_id(WEDNESDAY), text="Un banc")
    write_lines(where.folder, "closed/predictions-1-7-1.jsonl", [old, new], more=b"wrong\n")
    collect(where, today=WEDNESDAY)
    assert read_table(where.place, TEXTS, [MONDAY, WEDNESDAY]).num_rows == 2
    os.utime(next((where.folder / "rejected").iterdir()), (0, 0))
    done = collect(where, today=WEDNESDAY + timedelta(days=1))
    assert done.expired == 1
    assert files_below(where.folder / "rejected") == []
    assert read_table(where.place, TEXTS, [MONDAY, WEDNESDAY])["prediction_id"].to_pylist() == [new.prediction_id]
    assert len(ids_in(where, MONDAY, WEDNESDAY)) == 2
    done = Collector(where, today=MONDAY + timedelta(days=5)).expire()
    assert (done.expired, list(ids_in(where, MONDAY, WEDNESDAY))) == (2, [new.prediction_id])
    assert not (tmp_path / "bucket" / PREDICTIONS.partition(MONDAY)).exists()


def test_ids_that_another_machine_had_erased_are_taken_out_of_folder_and_bucket(tmp_path: Path) -> None:
    bucket = LogFolder(tmp_path / "bucket")
    where = location(tmp_path, bucket=bucket)
    gone, stays, late = prediction(text="Chez moi"), prediction(text="Ici"), prediction()
    write_lines(where.folder, "closed/predictions-1-7-1.jsonl", [gone, stays])
    collect(where)
    content = tmp_path / "list"
    content.write_bytes(erasure_list([gone.prediction_id, late.prediction_id]))
    bucket.add(f"{erasure_folder(MONDAY)}/1.json", content)
    path = write_lines(where.folder, "open/predictions-2-7.jsonl", [late, stays])
    rejected = write_lines(where.folder, "rejected/predictions-1-7-0.jsonl", [gone])
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert collect(where).erased == 4
    assert rejected.read_text().strip() == ""
    assert late.prediction_id not in path.read_text()
    files = [file.read_bytes() for file in (*(tmp_path / "bucket").rglob("*.parquet"), *where.folder.rglob("*.parquet"))]
    assert not [content for content in files if b"Chez moi" in content or gone.prediction_id.encode() in content]
    assert collect(where).erased == 0
    # A replica that did not know of it yet writes about the same answer.
    write_lines(where.folder, "closed/feedback-3-7-1.jsonl", [feedback(gone.prediction_id)])
    assert collect(where).rows == {}
    assert list(ids_in(where)) == [stays.prediction_id]


def killed_collections(make: Callable[[Path], LogLocation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterable[LogLocation]:
    """Yield the log after a collection that was killed, at each of its effects in turn."""
    for number in range(1, 1000):
        where = make(tmp_path / str(number))
        try:
            with killed_at(number, [(Path, name) for name in ("unlink", "rename", "replace")], monkeypatch):
                collect(where, today=WEDNESDAY)
        except Killed:
            yield where
        else:
            assert number > 10, "the effects are counted"
            return


def test_killed_at_any_step_and_run_again_nothing_is_lost_and_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    answers = [prediction(text="Un arbre") for _ in range(4)]
    expected = Counter(each.prediction_id for each in answers)

    def make(folder: Path) -> LogLocation:
        where = location(folder, bucket=LogFolder(folder / "bucket"))
        write_lines(where.folder, "open/predictions-1-7.jsonl", answers[::2], more=b"wrong\n")
        write_lines(where.folder, "closed/predictions-1-7-1.jsonl", answers[1::2])
        return where

    for where in killed_collections(make, tmp_path, monkeypatch):
        assert ids_in(where) == expected
        assert read_table(where.place, TEXTS, [MONDAY]).num_rows == 4
        collect(where, today=WEDNESDAY)
        assert ids_in(where) == expected
        assert not collect(where, today=WEDNESDAY).changed
        left = [name for name in files_below(where.folder) if not name.startswith("rejected/")]
        assert left == []
        assert len(files_below(where.folder / "rejected")) == 1
        bucket = where.folder.parent / "bucket"
        assert len(files_below(bucket)) == 2, "one file for each tree"
        assert read_table(LogFolder(bucket), PREDICTIONS, [MONDAY]).num_rows == 4


def test_one_process_at_a_time_collects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passerelle.stages.log_location._LOCK_WAIT_S", 0.0)
    where = location(tmp_path)
    where.folder.mkdir()
    with where.alone(), pytest.raises(BusyError, match="another process"), location(tmp_path).alone():
        pass


def test_a_log_that_is_not_there_is_nothing_to_do(tmp_path: Path) -> None:
    where = location(tmp_path)
    with where.alone():
        assert not collect(where).changed
    assert not where.folder.exists()


def test_a_file_of_a_newer_schema_is_not_joined(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    where = location(tmp_path)
    folder = where.folder / TEXTS.partition(MONDAY)
    folder.mkdir(parents=True)
    for number in range(2):
        pq.write_table(pa.table({"prediction_id": [prediction_id()], "mood": ["cross"]}), folder / f"{number}.parquet")
    assert not collect(where, today=TUESDAY).changed


def test_a_damaged_file_is_named_and_the_other_days_are_joined(tmp_path: Path) -> None:
    where = location(tmp_path)
    for number in range(2):
        write_lines(where.folder, f"closed/predictions-1-7-{number}.jsonl", [prediction(), prediction(prediction_id(TUESDAY))])
    collect(where)
    (where.folder / PREDICTIONS.partition(MONDAY) / "damaged.parquet").write_bytes(b"PAR1")
    done = collect(where, today=WEDNESDAY)
    assert done.joined == 1
    assert "damaged.parquet" in str(done.problem)


def test_a_folder_that_cannot_be_locked_is_an_error_with_a_hint(tmp_path: Path) -> None:
    where = location(tmp_path)
    (where.folder / "collector.lock").mkdir(parents=True)
    with pytest.raises(OutsideError, match="cannot lock the folder of the prediction log") as refused, where.alone():
        pass
    assert refused.value.hint == f"ls -ld {where.folder}"
