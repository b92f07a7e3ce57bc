"""Lists of MLflow are read to their end, over however many pages, and one that changes meanwhile loses nothing."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from mlflow import MlflowClient

from passerelle.names import LEDGER_ENTRY
from passerelle.registry.anchors import read_anchors
from passerelle.registry.client import Registry
from passerelle.registry.production import standing
from passerelle.stages.status import gather
from tests.platform_fixtures import RegisteredForTests

pytestmark = pytest.mark.integration
VERSIONS = 5


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no request give more than two entities, whatever it asks for."""
    for name in ("search_model_versions", "search_runs"):
        search = getattr(MlflowClient, name)

        def small(self: MlflowClient, *args: Any, search: Any = search, max_results: int = 2, **how: Any) -> Any:
            return search(self, *args, max_results=min(max_results, 2), **how)

        monkeypatch.setattr(MlflowClient, name, small)


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


@pytest.fixture
def registry(registered: RegisteredForTests) -> Registry:
    """A registered model with more versions than two pages hold, all of one run; the first is in production."""
    fresh = registered.fresh()
    name, run_id = fresh.settings.registered_model, registered.run_ids[0]
    for number in range(1, VERSIONS + 1):
        fresh.create_version(name, run_id, fresh.model_uri(run_id), {LEDGER_ENTRY: f"{number} {digest(number)}"})
    first = fresh.model_version(name, 1).ref
    fresh.set_alias(first, "production")
    fresh.set_stage(first, "Production")
    return fresh


def test_all_versions_are_found(registry: Registry) -> None:
    name = registry.settings.registered_model
    versions = registry.versions(name)
    assert [info.ref.version for info in versions] == [5, 4, 3, 2, 1]
    of_run = [info for info in registry.versions_of_run(versions[0].ref.run_id) if info.ref.registered_model == name]
    assert sorted(info.ref.version for info in of_run) == [1, 2, 3, 4, 5]
    assert standing(registry, name).stages[1] == "Production"
    assert read_anchors(registry, name).confirmed == {(number, digest(number)) for number in range(1, VERSIONS + 1)}
    newest = registry.newest_version(name)
    assert newest is not None
    assert newest.ref.version == VERSIONS
    held = gather(registry, bento_model=None, bento=None, service=None, service_address=None).holdings
    assert (held.alias, held.stage) == (1, (1,))


def test_a_version_that_changes_between_two_pages_hides_no_other(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    name, search = registry.settings.registered_model, MlflowClient.search_model_versions

    def changed_after(self: MlflowClient, *args: Any, **how: Any) -> Any:
        page = search(self, *args, **how)
        self.set_model_version_tag(name, "1", "looked_at", uuid.uuid4().hex)
        return page

    monkeypatch.setattr(MlflowClient, "search_model_versions", changed_after)
    assert [info.ref.version for info in registry.versions(name)] == [5, 4, 3, 2, 1]


def test_all_candidates_of_a_training_are_found(registered: RegisteredForTests) -> None:
    client = MlflowClient(tracking_uri=registered.registry.settings.tracking_uri)
    experiment_id = client.create_experiment(f"many-{uuid.uuid4().hex[:8]}")
    parent = client.create_run(experiment_id).info.run_id
    for number in range(VERSIONS):
        tags = {"mlflow.parentRunId": parent, "passerelle.candidate": f"candidate-{number}"}
        client.set_terminated(client.create_run(experiment_id, tags=tags).info.run_id)
    assert [each.name for each in registered.registry.candidate_runs(parent)] == [f"candidate-{number}" for number in range(VERSIONS)]
