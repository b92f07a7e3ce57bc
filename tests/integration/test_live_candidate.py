"""A candidate on a real registry: the service finds it by MLflow alone, and a promotion ends it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from passerelle.criteria import Criteria
from passerelle.follow_settings import FollowSettings
from passerelle.monitoring.live_comparison import compared, counts_of
from passerelle.names import ModelVersionRef
from passerelle.registry.client import Registry
from passerelle.registry.verified import history
from passerelle.serving.endpoint import ClassifyEndpoint
from passerelle.serving.following.start import load_and_follow
from passerelle.serving.pages.app import build_app
from passerelle.serving.runtime import Runtime
from passerelle.settings import ServiceSettings, StoreSettings
from passerelle.stages.import_model import import_model
from passerelle.stages.promote import PromotionRequest, promote
from passerelle.stages.rollback import rollback
from passerelle.stages.rollout import Author, begin, end, live_rows
from passerelle.stages.rollout_options import RolloutOptions
from tests.platform_fixtures import HERE, RegisteredForTests

pytestmark = pytest.mark.integration
LENIENT = Criteria.model_validate({"champion": {"must_be_better": False, "not_worse_by": 1.0, "resamples": 100}})
LIMIT_S = 60.0


def put(registry: Registry, ref: ModelVersionRef, **how: Any) -> None:
    promote(registry, ref=ref, criteria=LENIENT, request=PromotionRequest(who="test@here", serving=HERE, **how))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.05)


def answered_by(runtime: Runtime) -> str:
    app = ClassifyEndpoint(build_app(runtime), runtime=runtime)

    async def go() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1") as client:
            return await client.post("/classify", json={"text": "merci"})

    return str(asyncio.run(go()).json()["model_version"])


@pytest.fixture
def registry(registered: RegisteredForTests) -> Registry:
    """A registry with version 1 in production, and version 2."""
    registry = registered.fresh()
    first = registered.register(registry, 0)
    registered.register(registry, 1)
    put(registry, first)
    return registry


@pytest.fixture
def runtime(registry: Registry, tmp_path: Path) -> Iterator[Runtime]:
    """A service that follows both aliases, and may read MLflow alone."""
    folder = import_model(registry, StoreSettings.read(bentoml_home=tmp_path / "bentoml")).path
    assert folder is not None
    runtime = Runtime(folder, ServiceSettings.read({}, access_log=False))
    given = {"follow": "production", "follow_candidate": True, "follow_dir": tmp_path / "follow", "follow_interval_s": 0.2}
    load_and_follow(runtime, FollowSettings.read({}, follow_tracking_uri=registry.settings.tracking_uri, **given))
    yield runtime
    for worker in (runtime.following, runtime.rollout.worker if runtime.rollout else None):
        assert worker is not None
        worker.stop()


def test_a_candidate_answers_and_a_promotion_ends_it(registry: Registry, runtime: Runtime, tmp_path: Path) -> None:
    slot, name, author = runtime.rollout, registry.settings.registered_model, Author(registry, "test@here", serving=HERE)
    assert slot is not None
    done = begin(author, RolloutOptions(candidate=2, weight=100), LENIENT)
    assert not begin(author, RolloutOptions(candidate=2, weight=100), LENIENT).changed
    until(lambda: slot.current is not None)
    assert answered_by(runtime) == "2"
    assert done.entry is not None
    live = compared(counts_of(done.entry.number, [runtime.metrics.render().decode()]))
    assert (live.candidate.requests, live.candidate.versions) == (1, ("2",))
    second = registry.model_version(name, 2).ref
    put(registry, second, live=live_rows(live), language="en")
    report = registry.run_artifact(second.run_id, "gate/report.md", tmp_path).read_text(encoding="utf-8")
    assert "| Live, side by side | In production | Candidate |" in report
    assert "| Requests | 0 | 1 |" in report
    until(lambda: runtime.ready().version == "2" and slot.current is None)
    rollback(registry, who="test@here")
    until(lambda: runtime.ready().version == "1")
    assert (slot.current, answered_by(runtime)) == (None, "1")
    assert registry.aliases(name) == {"production": 1, "previous": 2}
    found = history(registry, name)
    assert (found.findings, [entry.what for entry in found.entries]) == (
        (),
        ["promote", "candidate", "promote", "candidate-ended", "rollback"],
    )


def test_a_candidate_that_is_stopped_answers_nothing(registry: Registry, runtime: Runtime) -> None:
    slot, author = runtime.rollout, Author(registry, "test@here", serving=HERE)
    assert slot is not None
    begin(author, RolloutOptions(candidate=2, weight=100), LENIENT)
    until(lambda: slot.current is not None)
    assert end(author, "withdrawn").changed
    until(lambda: slot.current is None)
    assert answered_by(runtime) == "1"
    assert not end(author, "withdrawn").changed
