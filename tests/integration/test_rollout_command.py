"""`passerelle rollout` from its beginning to a promotion, on a real registry and a real service: the gate, traffic, a limit that breaks."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from click.testing import CliRunner, Result

from passerelle.cli.main import passerelle
from passerelle.errors import NotFoundError
from passerelle.names import ModelVersionRef
from passerelle.registry.client import Registry
from passerelle.registry.verified import history
from passerelle.settings import StoreSettings
from passerelle.stages.import_model import import_model
from passerelle.stages.judgement import PromotionRequest
from passerelle.stages.promote import promote
from tests.integration.test_live_candidate import LENIENT
from tests.platform_fixtures import HERE, RegisteredForTests
from tests.service_fixtures import ROOT, ServedModel, serve

pytestmark = pytest.mark.integration
LIMIT_S = 60.0
REQUESTS = 40


@pytest.fixture
def registry(registered: RegisteredForTests, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Registry:
    """A registry with version 1 in production, and version 2; the commands find it by the environment."""
    registry = registered.named(monkeypatch, tmp_path)
    first = registered.register(registry, 0)
    registered.register(registry, 1)
    promote(registry, ref=first, criteria=LENIENT, request=PromotionRequest(who="test@here", serving=HERE))
    return registry


@pytest.fixture
def service(registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ServedModel]:
    """A service of two workers that follows both aliases."""
    store = tmp_path / "bentoml"
    imported = import_model(registry, StoreSettings.read(bentoml_home=store))
    follows = {"follow": "production", "follow_candidate": "on", "follow_interval_s": "0.2", "follow_dir": str(tmp_path / "follow")}
    address = {"follow_tracking_uri": registry.settings.tracking_uri}
    with serve(store, options=("--arg", f"model={imported.bento_model_tag}"), workers="2", **follows, **address) as running:
        monkeypatch.setenv("PASSERELLE_SERVICE_ADDRESS", running.address)
        yield running


def criteria(folder: Path, **rollout: float) -> Path:
    path = folder / "criteria.yaml"
    content = LENIENT.model_dump(mode="json", exclude_defaults=True) | {"rollout": {"min_requests": 10} | rollout}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def rollout(path: Path, *options: str) -> Result:
    return CliRunner().invoke(passerelle, ["rollout", *options, "--criteria", str(path), "--project", str(ROOT), "--json"])


def answered(service: ServedModel) -> Counter[str]:
    """Return how often each version answered a number of clients."""
    found: Counter[str] = Counter()
    for number in range(REQUESTS):
        answer = requests.post(
            f"{service.address}/classify",
            json={"text": f"merci pour la rue {number}"},
            headers={"X-Rollout-Key": f"client {number}"},
            timeout=30,
        )
        assert answer.status_code == 200
        found[answer.json()["model_version"]] += 1
    return found


def until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"it does not come to that: {what}"
        time.sleep(0.05)


def candidate_of(service: ServedModel) -> dict[str, Any]:
    found = requests.get(f"{service.address}/readyz", timeout=30).json()["candidate"]
    assert isinstance(found, dict)
    return found


def test_a_candidate_that_breaks_a_limit_is_backed_out_and_a_better_one_is_promoted(
    registry: Registry, service: ServedModel, tmp_path: Path
) -> None:
    strict = criteria(tmp_path, max_latency_ratio=0.001)
    begun = rollout(strict, "--candidate", "2", "--weight", "50")
    assert begun.exit_code == 0, begun.output
    assert json.loads(begun.stdout)["report"].endswith("gate/report.html")
    until(lambda: candidate_of(service).get("entry") == 2, "the candidate takes part")
    # No command is run: the service itself sends the candidate nothing more.
    until(lambda: answered(service) and candidate_of(service).get("backed_out"), "the service backs out")
    until(lambda: all(set(answered(service)) == {"1"} for _ in range(2)), "both workers obey")
    told = rollout(strict, "--status", "--watch")
    assert told.exit_code == 0, told.output
    assert "times as long" in json.loads(told.stdout)["live"]["backed_out"]
    name = registry.settings.registered_model
    ended = history(registry, name).entries[-1]
    assert (ended.what, ended.ended, ended.to_version) == ("candidate-ended", "backed out", 2)
    assert "0.001 times is the most" in str(ended.reason)
    assert registry.aliases(name) == {"production": 1}
    assert isinstance(rollout(strict, "--promote").exception, NotFoundError)

    mild = criteria(tmp_path, max_latency_ratio=1_000, max_review_share_difference=1)
    assert rollout(mild, "--candidate", "2", "--weight", "50").exit_code == 0
    until(lambda: candidate_of(service).get("entry") == 4, "the candidate takes part again")
    until(lambda: answered(service)["2"] > 0, "the candidate answers")
    done = rollout(mild, "--promote")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["promotion"]["findings"]
    second = ModelVersionRef(name, 2, registry.model_version(name, 2).ref.run_id)
    page = registry.run_artifact(second.run_id, "gate/report.md", tmp_path).read_text(encoding="utf-8")
    assert "| Requêtes |" in page
    until(lambda: set(answered(service)) == {"2"}, "version 2 answers as production")
    found = history(registry, name)
    kinds = ["promote", "candidate", "candidate-ended", "candidate", "promote", "candidate-ended"]
    assert (found.findings, [entry.what for entry in found.entries]) == ((), kinds)
    assert registry.aliases(name) == {"production": 2, "previous": 1}
