"""The workers of a service: one polls, all serve what it publishes, and a service without its registry goes on."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from passerelle.serving.endpoint import ClassifyEndpoint
from passerelle.serving.following.start import load_and_follow
from passerelle.serving.pages.app import build_app
from passerelle.serving.pages.model_card import model_card
from passerelle.serving.runtime import Runtime
from passerelle.settings import ServiceSettings
from tests.unit.serving.following.registry_double import ALIAS, RegistryDouble


class Worker:
    """A worker of a service whose bento holds version 1."""

    def __init__(self, registry: RegistryDouble, bento: Path, folder: Path, **given: Any) -> None:
        self.runtime = Runtime(bento, ServiceSettings.read({}, access_log=False))
        settings = registry.settings(folder, follow_interval_s=0.1, follow_start_s=30.0).model_copy(update=given)
        load_and_follow(self.runtime, settings)
        self.app = ClassifyEndpoint(build_app(self.runtime), runtime=self.runtime)

    def ask(self, path: str = "/classify", method: str = "POST", **headers: str) -> httpx.Response:
        async def go() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app), base_url="http://127.0.0.1") as client:
                named = {name.replace("_", "-"): value for name, value in headers.items()}
                body = {"json": {"text": "merci"}} if method == "POST" else {}
                return await client.request(method, path, headers=named, **body)  # type: ignore[arg-type]

        return asyncio.run(go())

    @property
    def version(self) -> str:
        return str(self.runtime.ready().version)

    def stop(self) -> None:
        for runtime in (self.runtime, *self.runtime.others.values()):
            if runtime.following is not None:
                runtime.following.stop()


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


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.01)


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
    assert models["nothing"]["following"]["code"] == "no_alias"


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


def test_a_folder_that_cannot_be_written_leaves_the_bento(registry: RegistryDouble, start: Start, tmp_path: Path) -> None:
    (tmp_path / "test@production").write_text("not a folder")
    worker = start()
    assert worker.version == "1"
    until(lambda: worker.ask("/readyz", "GET").json()["following"]["code"] == "disk")


def test_a_pinned_service_says_nothing_of_following(versions: dict[int, Path]) -> None:
    runtime = Runtime(versions[1], ServiceSettings.read({}, access_log=False))
    runtime.load()
    assert runtime.readiness() == {"ready": True, "model_version": "1"}
    assert json.loads(json.dumps(model_card(runtime)))["following"] is None
