"""The prediction log of one worker, on a real disk that fails in real ways."""

from __future__ import annotations

import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from passerelle.monitoring.prediction_log import folder_room, line_writer, writer
from passerelle.monitoring.prediction_log.record import SCHEMA, LoggedFeedback, LoggedPrediction
from passerelle.monitoring.prediction_log.writer import PredictionLog
from tests.unit.monitoring.prediction_log.answers import MODEL, TEXT, answered, keys_of, lines_of, log_of, put, wait_until


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_PAUSE_S", 0.002)
    monkeypatch.setattr(line_writer, "_RETRY_S", 0.002)
    monkeypatch.setattr(folder_room, "_LOOK_S", 0.0)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[PredictionLog]:
    opened = log_of(tmp_path / "log")
    opened.start()
    yield opened
    opened.close()


def _has_written(log: PredictionLog, records: int) -> bool:
    return bool(log.state()["written"] == records)


def test_each_answer_is_a_line_with_every_column(log: PredictionLog, tmp_path: Path) -> None:
    entry = answered()
    assert log.add((log.number_of(MODEL), *entry))
    log.close()
    (line,) = lines_of(tmp_path / "log")
    assert tuple(line) == LoggedPrediction._fields
    assert line | {"at": ""} == {
        "prediction_id": entry.prediction_id,
        "at": "",
        "registered_model": "classification",
        "model_version": "7",
        "artifact_digest": "sha256:00",
        "key_name": "key-0",
        "label": "a",
        "probability": 0.7,
        "second_label": "b",
        "second_probability": 0.2,
        "review": False,
        "characters": len(TEXT),
        "words": 5,
        "known_ngrams": 0.5,
        "latency_ms": 1.234,
        "batch": False,
        "golden": False,
        "record_digest": None,
        "redaction": None,
        "fields": None,
        "value": None,
        "schema": SCHEMA,
    }


def test_nothing_that_waits_is_lost_at_the_end(log: PredictionLog, tmp_path: Path) -> None:
    for number in range(5_000):
        assert put(log, number)
    log.close()
    assert keys_of(tmp_path / "log") == [f"key-{number}" for number in range(5_000)]
    assert list((tmp_path / "log" / "open").iterdir()) == []
    assert (log.state()["written"], log.state()["waiting"], sum(log.state()["dropped"].values())) == (5_000, 0, 0)


def test_feedback_has_files_of_its_own(log: PredictionLog, tmp_path: Path) -> None:
    feedback = LoggedFeedback("id", "2026-09-22T12:00:00.000+00:00", "classification", "key", "b", "agent", comment="j'ai 3 ans")
    assert log.add_feedback(feedback)
    log.close()
    (line,) = lines_of(tmp_path / "log", "feedback")
    assert tuple(line) == LoggedFeedback._fields
    assert line == feedback._asdict() | {"comment": None}
    assert lines_of(tmp_path / "log") == []


def test_only_the_owner_reads_the_files(log: PredictionLog, tmp_path: Path) -> None:
    put(log)
    wait_until(lambda: log.state()["written"])
    (path,) = (tmp_path / "log" / "open").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_two_workers_share_a_folder(tmp_path: Path) -> None:
    logs = [log_of(tmp_path) for _ in range(4)]
    for number, each in enumerate(logs):
        each.start()
        put(each, number)
    for each in logs:
        each.close()
    assert sorted(keys_of(tmp_path)) == [f"key-{number}" for number in range(4)]
    assert len(list((tmp_path / "closed").iterdir())) == 4


@pytest.mark.parametrize("again", [False, True])
def test_a_folder_that_is_removed_is_made_again(log: PredictionLog, tmp_path: Path, again: bool) -> None:
    put(log, 1)
    wait_until(lambda: log.state()["written"] == 1)
    shutil.rmtree(tmp_path / "log")
    if again:
        (tmp_path / "log" / "open").mkdir(parents=True)
    put(log, 2)
    log.close()
    assert keys_of(tmp_path / "log") == ["key-2"]


def test_a_folder_that_cannot_be_made_is_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log").write_text("in the way")
    log = log_of(tmp_path / "log")
    log.start()
    put(log, 1)
    wait_until(lambda: log.state()["state"] == "failing")
    assert "File exists" in log.state()["fault"] or "Not a directory" in log.state()["fault"]
    time.sleep(0.02)
    (tmp_path / "log").unlink()
    wait_until(lambda: log.state()["state"] == "writing")
    log.close()
    assert keys_of(tmp_path / "log") == ["key-1"]
    reports = capsys.readouterr().err.splitlines()
    assert len(reports) == 2
    assert reports[0].startswith(f"the prediction log is not written: {tmp_path / 'log'}: ")
    assert reports[1] == f"the prediction log is written again: {tmp_path / 'log'}"


def test_a_full_queue_drops_and_counts_and_says_so_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = log_of(tmp_path, log_queue=3)
    assert [put(log, number) for number in range(5)] == [True, True, True, False, False]
    assert log.state()["dropped"]["queue"] == 2
    log.start()
    log.close()
    assert keys_of(tmp_path) == ["key-0", "key-1", "key-2"]
    assert capsys.readouterr().err.splitlines() == [
        "records are dropped from the prediction log: more come than are written; answers go on",
        "records are no longer dropped from the prediction log; 2 were, since the start",
    ]


def test_long_texts_fill_the_queue_by_their_length(tmp_path: Path) -> None:
    log = log_of(tmp_path)
    taken = [put(log, number, {"text": "x" * 1_000_000}) for number in range(10)]
    assert taken == [True] * 8 + [False] * 2


def test_a_folder_that_nobody_collects_does_not_fill_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = log_of(tmp_path, log_max_bytes=1_024)
    log.start()
    for number in range(50):
        put(log, number)
        wait_until(lambda: not log.state()["waiting"])
    state = log.state()
    assert (state["written"] + state["dropped"]["folder"], state["state"]) == (50, "failing")
    assert folder_room.uncollected_bytes(tmp_path) < 2_048
    shutil.rmtree(tmp_path / "open")  # as the collector does with closed files
    put(log, 50)
    log.close()
    assert keys_of(tmp_path) == ["key-50"]
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_record_that_no_line_can_hold_is_left_out_alone(log: PredictionLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(log, 1, prediction_id="none")
    put(log, 2)
    log.close()
    assert keys_of(tmp_path / "log") == ["key-2"]
    assert log.state()["dropped"]["record"] == 1
