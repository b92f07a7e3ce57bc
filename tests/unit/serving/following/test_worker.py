"""The workers of a service: one polls, all serve what it publishes, and a service without its registry goes on."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from passerelle.serving.pages.model_card import model_card
from passerelle.serving.runtime import Runtime
from passerelle.settings import ServiceSettings
from tests.unit.serving.following.registry_double import ALIAS, RegistryDouble
from tests.unit.serving.following.workers import Worker, until

Start = Callable[..., Worker]


@pytest.fixture
def start(registry: RegistryDouble, versions: dict[int, Path], tmp_path: Path) -> Iterator[Start]:
    started: list[Worker] = []

    def make(**given: Any) -> Worker:
        started.append(Worker(registry, versions[1], tmp_path, **given))
        return started[-1]

    yield make
    for each in started:
        each.stop()


def test_a_service_starts_with_what_is_in_production(registry: RegistryDouble, start: Start) -> None:
    registry.promote(2, 2)
    worker = start()
    answer = worker.ask().json()
    assert (answer["model_version"], answer["label"]) == ("2", "autre merci")
    said = worker.ask("/readyz", "GET").json()
    assert said["model_version"] == "2"
    assert said["following"] == {
        "alias": "test@production", "state": "in_step", "alias_version": 2, "code": "", "message": "", "hint": "",
    }  # fmt: skip


def test_all_workers_follow_and_one_of_them_polls(registry: RegistryDouble, start: Start) -> None:
    workers = [start(), start()]
    registry.promote(2, 2)
    until(lambda: all(worker.version == "2" for worker in workers))
    # The entry's artifact is fetched once for all workers.
    assert registry.asked.count("passerelle/ledger/000002.jsonl") == 1


def test_the_next_worker_polls_where_the_first_one_ended(registry: RegistryDouble, start: Start) -> None:
    first, second = start(), start()
    first.stop()
    registry.promote(2, 2)
    until(lambda: second.version == "2")
    assert first.version == "1"


def test_without_the_registry_the_last_good_version_is_served(registry: RegistryDouble, start: Start) -> None:
    registry.promote(2, 2)
    start().stop()
    registry.spoil = lambda _, __: (500, b"")
    worker = start()
    assert worker.version == "2"
    state = worker.ask("/model", "GET").json()["following"]
    assert (state["state"], state["code"]) == ("not_reached", "server_error")


@pytest.mark.parametrize("file", ["golden.json", "lineage.json", "ledger_entry.jsonl"])
def test_a_version_on_the_disk_that_was_changed_is_not_served(registry: RegistryDouble, start: Start, tmp_path: Path, file: str) -> None:
    registry.promote(2, 2)
    start().stop()
    (path,) = (tmp_path / "test@production" / "versions").glob(f"*/{file}")
    path.write_bytes(path.read_bytes().replace(b"2", b"3", 1).replace(b"autre", b"outre", 1))
    registry.spoil = lambda _, __: (500, b"")
    assert start().version == "1"


def test_without_registry_and_without_a_version_on_the_disk_the_bento_is_served(registry: RegistryDouble, start: Start) -> None:
    registry.spoil = lambda _, __: (403, b"{}")
    worker = start()
    assert worker.version == "1"
    assert worker.ask("/readyz", "GET").json()["following"]["code"] == "credentials"


def test_a_client_may_insist_on_a_version(registry: RegistryDouble, start: Start) -> None:
    worker = start(follow_interval_s=3_000.0)
    assert worker.ask(x_least_model_version="1").json()["model_version"] == "1"
    refused = worker.ask(x_least_model_version="2")
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (409, "version_not_served", "1")
    for wrong in ("two", "-1", "1" * 13):
        assert worker.ask(x_least_model_version=wrong).status_code == 400
    # Such a request lets the registry be polled.
    registry.promote(2, 2)
    until(lambda: worker.ask(x_least_model_version="2").status_code == 200)
    assert worker.ask("/classify", x_least_model_version="2").json()["model_version"] == "2"


def test_several_models_are_followed_apart(registry: RegistryDouble, start: Start) -> None:
    worker = start(follow=f"{ALIAS},nothing@{ALIAS}")
    assert worker.ask("/models/test/classify").json()["model_version"] == "1"
    missing = worker.ask("/models/nothing/classify")
    assert (missing.status_code, missing.json()["code"]) == (503, "not_ready")
    for path in ("/models/other/classify", "/models/test", "/models/test/classify/x", "/models/"):
        assert worker.ask(path).status_code == 404
    models = worker.ask("/readyz", "GET").json()["models"]
    assert models["nothing"]["following"]["code"] == "no_model"


def test_a_further_model_says_itself_which_records_it_takes(
    registry: RegistryDouble, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = registry.answer

    def under_both_names(path: str, query: dict[str, str]) -> tuple[int, bytes]:
        wanted = query.get("name", "test")
        status, body = answer(path, {**query, "name": "test"} if wanted == "langue" else query)
        return status, body.replace(b'"name": "test"', b'"name": "langue"') if wanted == "langue" else body

    monkeypatch.setattr(registry, "answer", under_both_names)
    worker = start(follow=f"{ALIAS},langue@{ALIAS}", follow_ledger="off")
    until(lambda: worker.ask("/models/langue/classify").status_code == 200)
    assert worker.ask("/models/langue/classify").json()["model_version"] == "1"


def test_who_asks_for_a_poll_wakes_the_worker_that_polls_and_no_other(registry: RegistryDouble, start: Start) -> None:
    leader, other = start(follow_interval_s=3_000.0), start(follow_interval_s=3_000.0)
    woken = []
    for worker in (leader, other):
        following = worker.runtime.following
        assert following is not None
        assert following.first_poll.is_set(), "a worker that starts later need not wait for the next poll"
        following.stop()
        following._least_pause_ends = 0.0
        following._lock = 0 if worker is leader else None
        following._wake.clear()
        following.poll_now()
        woken.append(following._wake.is_set())
        following._wake.clear()
        following._least_pause_ends = math.inf
        following.poll_now()
        assert not following._wake.is_set(), "a flood of requests wakes nobody"
        following._lock = None
    assert woken == [True, False]


def test_a_worker_that_does_not_poll_tries_to_once_a_second(
    registry: RegistryDouble, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    start()
    other = start().runtime.following
    assert other is not None
    other.stop()
    tried: list[Path] = []

    def taken(path: Path, *_: Any) -> int:
        tried.append(path)
        raise OSError

    monkeypatch.setattr(os, "open", taken)
    other._lead_at = 0.0
    for now in (5.0, 5.25, 5.5, 5.75, 6.0, 6.25):
        with contextlib.suppress(OSError):
            assert not other._leads(now)
    assert len(tried) == 2


def test_a_folder_that_cannot_be_written_leaves_the_bento(registry: RegistryDouble, start: Start, tmp_path: Path) -> None:
    (tmp_path / "test@production").write_text("not a folder")
    worker = start()
    assert worker.version == "1"
    until(lambda: worker.ask("/readyz", "GET").json()["following"]["code"] == "disk")


def test_a_file_system_without_locks_leaves_the_bento_and_says_why(
    registry: RegistryDouble, start: Start, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("passerelle.serving.following.worker.fcntl.flock", flock)
    worker = start(follow_start_s=0.5)
    assert worker.version == "1"
    until(lambda: worker.ask("/readyz", "GET").json()["following"]["code"] == "disk")
    assert "No locks available" in capfd.readouterr().err


def test_a_pinned_service_says_nothing_of_following(versions: dict[int, Path]) -> None:
    runtime = Runtime(versions[1], ServiceSettings.read({}, access_log=False))
    runtime.load()
    assert runtime.readiness() == {"ready": True, "model_version": "1"}
    assert json.loads(json.dumps(model_card(runtime)))["following"] is None
