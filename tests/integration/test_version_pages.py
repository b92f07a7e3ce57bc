"""What people read of a version in MLflow: few tags, a description with figures and verdict, and nothing of theirs is overwritten."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from passerelle.model.version_tags import FILTERS, unpacked
from passerelle.names import ARTIFACT_DIGEST, CANDIDATE, VERDICT, VERSION_RECORD, ModelVersionRef
from passerelle.registry.client import Registry
from passerelle.stages.promote import PromotionRequest, promote
from passerelle.stages.register import register
from tests.integration.test_gate_report_page import browser
from tests.platform_fixtures import HERE, RegisteredForTests

pytestmark = pytest.mark.integration
__all__ = ["browser"]


@pytest.fixture
def client(registered: RegisteredForTests) -> MlflowClient:
    return MlflowClient(tracking_uri=registered.registry.settings.tracking_uri)


@pytest.fixture
def promoted(registered: RegisteredForTests) -> Iterator[tuple[Registry, ModelVersionRef]]:
    fresh = registered.fresh()
    ref = registered.register(fresh)
    promote(fresh, ref=ref, criteria=registered.criteria, request=PromotionRequest("marie@here", serving=HERE, language="en"))
    yield fresh, ref


def description(client: MlflowClient, ref: ModelVersionRef) -> str:
    return stored(client, ref).description or ""


def stored(client: MlflowClient, ref: ModelVersionRef) -> ModelVersion:
    return client.get_model_version(ref.registered_model, str(ref.version))


def test_a_version_shows_few_tags_and_a_description(
    registered: RegisteredForTests, promoted: tuple[Registry, ModelVersionRef], client: MlflowClient
) -> None:
    fresh, first = promoted
    found = stored(client, first)
    ledger = {name for name in found.tags if name.startswith("passerelle.ledger_")}
    assert {*found.tags} == {*FILTERS, VERSION_RECORD, *ledger}
    assert (found.tags[VERDICT], found.tags[CANDIDATE]) == ("passed", registered.registry.run(first.run_id).name)
    assert json.loads(found.tags[VERSION_RECORD])["artifact_digest"] == fresh.model_version(first.registered_model, 1).tags[ARTIFACT_DIGEST]
    assert "**The gate lets it into production**: " in description(client, first)
    assert "few.csv" in description(client, first)
    second = registered.register(fresh, 1)
    assert "The gate has not judged it yet" in description(client, second)
    assert "| | version 2 | version 1, in production |" in description(client, second)
    assert "alias `production`" in (client.get_registered_model(first.registered_model).description or "")
    experiment = client.get_experiment_by_name(fresh.settings.experiment)
    assert experiment is not None
    assert "passerelle compare" in experiment.tags["mlflow.note.content"]


def test_what_a_person_wrote_stays(
    registered: RegisteredForTests, promoted: tuple[Registry, ModelVersionRef], client: MlflowClient
) -> None:
    fresh, _ = promoted
    second = registered.register(fresh, 1)
    client.update_model_version(second.registered_model, str(second.version), "Testé avec l'équipe de la propreté.")
    client.update_registered_model(second.registered_model, "Demandes des citoyens")
    request = PromotionRequest("marie@here", serving=HERE, force=True, reason="test")
    promote(fresh, ref=second, criteria=registered.criteria, request=request)
    register(fresh, run_id=second.run_id, criteria=registered.criteria)
    found = stored(client, second)
    assert found.description == "Testé avec l'équipe de la propreté."
    assert VERDICT in found.tags
    assert client.get_registered_model(second.registered_model).description == "Demandes des citoyens"


def test_tags_of_versions_that_were_registered_before_are_read_and_stay_tags(registered: RegisteredForTests, client: MlflowClient) -> None:
    fresh = registered.fresh()
    ref = registered.register(fresh)
    tags = dict(fresh.model_version(ref.registered_model, 1).tags)
    client.delete_model_version_tag(ref.registered_model, "1", VERSION_RECORD)
    for name, value in tags.items():
        client.set_model_version_tag(ref.registered_model, "1", name, value)
    assert fresh.model_version(ref.registered_model, 1).tags == tags
    fresh.set_version_tags(ref, {ARTIFACT_DIGEST: "sha256:other", "passerelle.compiled": "no"})
    assert stored(client, ref).tags == tags | {ARTIFACT_DIGEST: "sha256:other", "passerelle.compiled": "no"}
    fresh.delete_version_tag(ref, ARTIFACT_DIGEST)
    assert ARTIFACT_DIGEST not in fresh.model_version(ref.registered_model, 1).tags
    fresh.set_version_tags(ref, {ARTIFACT_DIGEST: tags[ARTIFACT_DIGEST]})
    assert unpacked(stored(client, ref).tags)[ARTIFACT_DIGEST] == tags[ARTIFACT_DIGEST]
    assert VERSION_RECORD in stored(client, ref).tags


@pytest.mark.chromium
def test_mlflows_own_pages_show_it(promoted: tuple[Registry, ModelVersionRef], browser: Any) -> None:
    fresh, ref = promoted
    page = browser.new_page(viewport={"width": 1400, "height": 1100})
    page.set_default_timeout(120_000)
    address = fresh.settings.tracking_uri
    page.goto(f"{address}/#/models/{ref.registered_model}/versions/{ref.version}")
    page.get_by_text("The gate lets it into production").wait_for()
    link = page.get_by_text("the gate's report").first
    assert str(link.get_attribute("href")).endswith("/report.html")
    note = MlflowClient(address).get_run(ref.run_id).data.tags["mlflow.note.content"]
    assert "[confusion matrix](#/experiments/" in note
    page.close()
