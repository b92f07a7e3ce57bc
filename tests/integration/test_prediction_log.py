"""A real service with two workers records each answer once, whether its workers end or are killed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from tests.service_fixtures import ServedModel, serve
from tests.unit.monitoring.prediction_log.answers import lines_of

pytestmark = pytest.mark.integration


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ask(service: ServedModel, number: int) -> str:
    """Return the id of an answer, over a connection of its own, so that both workers get some."""
    answer = requests.post(f"{service.address}/classify", json={"text": f"demande numéro {number}"}, timeout=10)
    assert answer.status_code == 200
    return str(answer.json()["prediction_id"])


def workers_of(service: ServedModel) -> list[psutil.Process]:
    return [each for each in psutil.Process(service.child.pid).children(recursive=True) if "worker" in " ".join(each.cmdline())]


def test_answers_outlive_workers_that_are_killed_and_those_that_end(bentoml_home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    with serve(bentoml_home, prediction_log=str(folder), workers="2", log_text="full") as service, ThreadPoolExecutor(8) as pool:
        first = list(pool.map(lambda number: ask(service, number), range(100)))
        wait_until(lambda: len(lines_of(folder)) == 100)
        killed = workers_of(service)
        assert len(killed) >= 2
        for worker in killed:
            worker.kill()
        assert not psutil.wait_procs(killed, timeout=30)[1]
        service.child.wait_until_healthy(60)
        # The processes that write end after their workers, with everything written and their files closed.
        wait_until(lambda: not list((folder / "open").iterdir()))
        second = list(pool.map(lambda number: ask(service, number), range(100)))
    lines = lines_of(folder)
    assert sorted(line["prediction_id"] for line in lines) == sorted(first + second)
    assert {line["fields"]["text"] for line in lines} == {f"demande numéro {number}" for number in range(100)}
    closed = [json.loads(line)["prediction_id"] for path in (folder / "closed").iterdir() for line in path.read_bytes().splitlines()]
    assert sorted(closed) == sorted(first + second)
    assert not list((folder / "open").iterdir())
