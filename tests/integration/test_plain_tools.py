"""What passerelle makes goes on working with plain `bentoml`, and the service it starts holds its contract."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import bentoml
import psutil
import pytest
import requests

from passerelle.bentos.build import build
from passerelle.bentos.store import latest_bento, latest_bento_model
from passerelle.criteria import Criteria
from passerelle.errors import BusyError, PasserelleError
from passerelle.names import BentoTag
from passerelle.platform.child import Child
from passerelle.platform.ports import free_ports
from passerelle.registry.client import Registry
from passerelle.rollout import local
from passerelle.settings import StoreSettings
from passerelle.stages.import_model import import_model
from passerelle.stages.promote import PromotionRequest, promote
from tests.platform_fixtures import HERE, RegisteredForTests

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store(tmp_path: Path) -> StoreSettings:
    return StoreSettings.read(bentoml_home=tmp_path / "bentoml")


def promoted_and_built(registered: RegisteredForTests, registry: Registry, store: StoreSettings, number: int) -> BentoTag:
    promote(
        registry,
        ref=registered.register(registry, number),
        criteria=Criteria.model_validate({"champion": {"must_be_better": False, "not_worse_by": 1.0}}),
        request=PromotionRequest(who="test@here", serving=HERE),
    )
    return build(store, bento_model_tag=import_model(registry, store).bento_model_tag, project=ROOT).bento_tag


def test_deploy_replaces_only_by_what_is_good(registered: RegisteredForTests, store: StoreSettings, tmp_path: Path) -> None:
    registry = registered.fresh()
    state = tmp_path / "state"
    state.mkdir()
    tag = promoted_and_built(registered, registry, store, 0)
    try:
        planned = local.deploy(tag, settings=store, state_dir=state, dry_run=True)
        assert planned.changed
        assert local.running_service(state, registry.settings.registered_model) is None
        first = local.deploy(tag, settings=store, state_dir=state)
        assert first.smoke is not None
        assert first.smoke.inputs >= 20
        again = local.deploy(tag, settings=store, state_dir=state)
        assert (again.changed, again.pid) == (False, first.pid)
        taken = int(str(first.address).rpartition(":")[2])
        other = promoted_and_built(registered, registry, store, 1)
        with pytest.raises(BusyError, match=f"port {taken} is taken by process"):
            local.service_child(other, tmp_path, store, state, taken)
        _clients_and_pages_work(str(first.address))
        # A bento whose model answers otherwise than at training never takes the place of one that is good.
        golden = (store.bentoml_home or Path()) / "models" / other.name / other.version / "golden.json"
        whole = golden.read_text()
        golden.write_text(whole.replace('"labels": [', '"labels": ["nobody", ').replace('"inputs": [', '"inputs": [{"text": "x"}, '))
        with pytest.raises(PasserelleError, match=r"ended with|golden"):
            local.deploy(other, settings=store, state_dir=state)
        still = local.running_service(state, registry.settings.registered_model)
        assert still is not None
        assert still.mark.pid == first.pid
        assert requests.get(f"{first.address}/readyz", timeout=5).json()["model_version"] == "1"
        golden.write_text(whole)
        second = local.deploy(other, settings=store, state_dir=state)
        assert (second.changed, second.replaced) == (True, str(tag))
        assert requests.get(f"{second.address}/readyz", timeout=5).json()["model_version"] == "2"
        assert not psutil.pid_exists(int(first.pid or 0))
    finally:
        local.stop(state, registry.settings.registered_model)
    assert local.running_service(state, registry.settings.registered_model) is None


def _clients_and_pages_work(address: str) -> None:
    over_http = requests.post(f"{address}/classify", json={"text": "toujours aucune réponse"}, timeout=5).json()
    with bentoml.SyncHTTPClient(address) as client:
        by_client = client.classify(text="toujours aucune réponse")
        batch = client.classify_batch(records=[{"text": "toujours aucune réponse"}, {"text": "merci"}])
    for answer in (by_client, batch["predictions"][0]):
        assert {key: value for key, value in answer.items() if key != "prediction_id"} == {
            key: value for key, value in over_http.items() if key != "prediction_id"
        }
    assert requests.get(f"{address}/docs", timeout=5).text.count("swagger-ui") >= 3
    assert requests.get(f"{address}/static_content/swagger-ui-bundle.js", timeout=5).status_code == 200
    assert requests.get(f"{address}/docs.json", timeout=5).json()["paths"]["/classify"]
    assert requests.get(f"{address}/nowhere", timeout=5).json()["code"] == "not_found"


@pytest.fixture
def development(registered: RegisteredForTests, store: StoreSettings, tmp_path: Path, plain_environment: None) -> Iterator[str]:
    """`bentoml serve` at the root, on the model imported last."""
    import os

    registry = registered.fresh()
    promote(
        registry,
        ref=registered.register(registry),
        criteria=Criteria.model_validate({"champion": {"must_be_better": False, "not_worse_by": 1.0}}),
        request=PromotionRequest(who="test@here", serving=HERE),
    )
    tag = import_model(registry, store).bento_model_tag
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "bentoml", "serve", "--arg", f"model={tag.name}:latest", "--host", "127.0.0.1", "--port", str(port)]
    environment = dict(os.environ) | {"BENTOML_HOME": str(store.bentoml_home), "PASSERELLE_REVIEW_THRESHOLD": "1"}
    address = f"http://127.0.0.1:{port}"
    child = Child("bentoml serve", command, environment, tmp_path / "serve.log", f"{address}/readyz", cwd=ROOT)
    child.start()
    try:
        child.wait_until_healthy(90)
        yield address
    finally:
        child.stop()


def test_plain_bentoml_serve_and_build_work_at_the_root(development: str, store: StoreSettings) -> None:
    import os

    answer = requests.post(f"{development}/classify", json={"text": "toujours aucune réponse"}, timeout=5).json()
    assert answer["review"] is True
    assert answer["model_version"] == "1"
    name = next(path.name for path in ((store.bentoml_home or Path()) / "models").iterdir())
    environment = dict(os.environ) | {"BENTOML_HOME": str(store.bentoml_home)}
    imported = latest_bento_model(store)
    assert imported is not None
    before = build(store, bento_model_tag=imported, project=ROOT).bento_tag
    command = [sys.executable, "-m", "bentoml", "build", "--arg", f"model={name}:latest", "--output", "tag"]
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert built.returncode == 0, built.stderr
    assert "classification:" in built.stdout
    assert latest_bento(store) == before, "one that was built beside passerelle is not what the next stage takes"
