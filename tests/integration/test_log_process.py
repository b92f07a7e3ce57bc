"""The process that writes the prediction log: stopped, killed, and sent the signals of the whole service."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from passerelle.monitoring.prediction_log import log_process, writer
from passerelle.monitoring.prediction_log.writer import PredictionLog
from tests.many_open_files import many_open_files
from tests.unit.monitoring.prediction_log.answers import keys_of, log_of, put, wait_until

pytestmark = pytest.mark.integration


@pytest.fixture
def log(tmp_path: Path) -> Iterator[PredictionLog]:
    opened = log_of(tmp_path / "log")
    opened.start()
    yield opened
    opened.close()


def pid_of(log: PredictionLog) -> int:
    """Return the number of the process that writes, once it runs."""
    wait_until(lambda: log._process.has_spoken)
    assert log._process.pid is not None
    return log._process.pid


def test_it_ends_in_order_in_a_service_with_many_connections(tmp_path: Path) -> None:
    with many_open_files():
        log = log_of(tmp_path)
        log.start()
        pid_of(log)
        put(log, 1)
        log.close()
    assert (log.state()["written"], sum(log.state()["dropped"].values())) == (1, 0)


def test_a_stuck_disk_delays_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_STUCK_S", 0.01)
    log = log_of(tmp_path, log_queue=10)
    log.start()
    stuck = pid_of(log)
    os.kill(stuck, signal.SIGSTOP)  # as a process that waits for the disk does nothing else
    put(log)
    wait_until(lambda: log.state()["fault"] == "the disk does not answer")
    assert not log.state()["written"]
    assert sum(put(log, number) for number in range(100)) == 9
    assert log.state()["dropped"]["disk"] == 91
    os.kill(stuck, signal.SIGCONT)
    wait_until(lambda: log.state()["written"] == 10)
    wait_until(lambda: log.state()["state"] == "writing")
    log.close()


def test_the_end_does_not_wait_for_a_stuck_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_CLOSE_S", 0.01)
    log = log_of(tmp_path)
    log.start()
    stuck = pid_of(log)
    os.kill(stuck, signal.SIGSTOP)
    put(log, 1)
    put(log, 2)
    log.close()
    assert log.state()["dropped"]["shutdown"] == 2
    os.kill(stuck, signal.SIGCONT)
    # What it had been sent is written all the same.
    wait_until(lambda: sorted(keys_of(tmp_path)) == ["key-1", "key-2"])
    log._process.wait_for_end()


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_the_process_outlives_a_signal_to_all_processes(log: PredictionLog, tmp_path: Path, sent: signal.Signals) -> None:
    os.kill(pid_of(log), sent)
    put(log, 1)
    log.close()
    assert keys_of(tmp_path / "log") == ["key-1"]


def test_a_process_that_is_killed_is_started_again_and_what_it_had_is_counted(
    log: PredictionLog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = pid_of(log)
    os.kill(first, signal.SIGSTOP)
    for number in range(3):
        put(log, number)
    wait_until(lambda: log._hand_over.sent == 3)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: log.state()["fault"] == "the process that writes it ended with signal 9, and is started again")
    assert (log.state()["dropped"]["process"], log.state()["waiting"]) == (3, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)  # not even as a zombie
    put(log, 4)
    assert pid_of(log) != first
    log.close()
    assert keys_of(tmp_path / "log") == ["key-4"]
    (left,) = (tmp_path / "log" / "closed").iterdir()
    assert b"key-4" in left.read_bytes()
    assert [line.partition(": ")[0] for line in capsys.readouterr().err.splitlines()] == [
        "the prediction log is not written",
        "the prediction log is written again",
    ]


def test_a_process_that_cannot_be_started_keeps_nobody_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_process, "_COMMAND", ("/nowhere/python",))
    monkeypatch.setattr(writer, "_CLOSE_S", 0.01)
    log = log_of(tmp_path)
    log.start()
    wait_until(lambda: log.state()["fault"] == "the process that writes it cannot be started: No such file or directory")
    put(log)
    log.close()
    assert log.state()["dropped"]["disk"] == 1


def test_neither_the_arguments_nor_the_environment_of_the_process_hold_the_key(tmp_path: Path) -> None:
    log = log_of(tmp_path, log_digest_key="secret-of-the-digests")
    log.start()
    process = Path(f"/proc/{pid_of(log)}")
    assert b"line_writer" in (process / "cmdline").read_bytes()
    assert b"secret-of-the-digests" not in (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    log.close()
