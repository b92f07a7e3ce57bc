"""What the platform leaves for other processes, and what of it counts."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from passerelle.platform.ports import free_ports, port_is_taken
from passerelle.platform.state import ProcessMark, RunningPlatform, exports, owner, remove_state, running, starting, sweep, write_state
from passerelle.settings import S3Settings

S3 = S3Settings.read(endpoint_url="http://127.0.0.1:1", access_key_id="id", secret_access_key="secret", bucket="b")
#: No process has it: Linux counts to 2**22.
GONE = ProcessMark(2**22 + 1, 0.0)


def platform(by: ProcessMark | None = None) -> RunningPlatform:
    return RunningPlatform("http://127.0.0.1:2", S3, {"B": "it's", "A": "1"}, by or ProcessMark.of(os.getpid()))


def content(folder: Path) -> Path:
    return folder / "platform" / "platform.json"


def changed(folder: Path, **fields: Any) -> None:
    content(folder).write_text(json.dumps(json.loads(content(folder).read_text()) | fields))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "platform").mkdir()
    write_state(tmp_path, platform(), {"s3": os.getpid()}, ready=True)
    return tmp_path


def test_what_runs_is_found_and_only_its_owner_may_read_the_keys(folder: Path) -> None:
    assert running(folder) == platform()
    assert owner(folder) == os.getpid()
    assert stat.S_IMODE(content(folder).stat().st_mode) == 0o600
    remove_state(folder)
    remove_state(folder)
    assert (running(folder), owner(folder)) == (None, None)


def test_what_is_half_started_is_not_running_and_has_an_owner(folder: Path) -> None:
    write_state(folder, platform(), {}, ready=False)
    assert running(folder) is None
    assert owner(folder) == os.getpid() == starting(folder)
    write_state(folder, platform(), {}, ready=True)
    assert starting(folder) is None
    write_state(folder, platform(GONE), {}, ready=False)
    assert starting(folder) is None


@pytest.mark.parametrize("mark", [GONE, ProcessMark(os.getpid(), 5.0)])
def test_a_process_that_ended_counts_no_more_even_where_its_number_is_used_again(folder: Path, mark: ProcessMark) -> None:
    changed(folder, children={"s3": {"pid": mark.pid, "started": mark.started}})
    assert running(folder) is None
    write_state(folder, platform(mark), {}, ready=True)
    assert (running(folder), owner(folder)) == (None, None)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"owner": 3}', '{"owner": {"pid": "a"}, "children": 4}', "\x00"])
def test_what_is_no_state_is_none(folder: Path, text: str) -> None:
    content(folder).write_text(text)
    assert (running(folder), owner(folder)) == (None, None)
    sweep(folder)
    assert not content(folder).exists()


def test_what_a_killed_platform_left_is_ended_and_nothing_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[tuple[int, int]] = []
    alive = {os.getpid(): 1}

    def end(pid: int, number: int) -> None:
        ended.append((pid, number))

    monkeypatch.setattr("passerelle.platform.child.end_group", end)
    monkeypatch.setattr(ProcessMark, "alive", lambda mark: mark.pid in alive and not ended)
    changed(folder, children={"s3": {"pid": os.getpid(), "started": 0.0}, "mlflow": {"pid": GONE.pid, "started": 0.0}})
    sweep(folder)
    assert ended == [(os.getpid(), 15)]
    assert not content(folder).exists()


def test_the_environment_can_be_typed_into_a_shell() -> None:
    assert exports({"B": "it's", "A": "1"}) == "export A=1\nexport B='it'\"'\"'s'\n"


def test_ports_are_free_and_different() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert not any(map(port_is_taken, ports[:3]))
