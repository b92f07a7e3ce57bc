"""What `demo` and `up` do with what is in production: the demo promotes over nothing but itself, and `up` promotes nothing."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from passerelle.cli.output import Output
from passerelle.cli.show_steps import StepsShown
from passerelle.criteria import Criteria
from passerelle.errors import BusyError, NotFoundError
from passerelle.model.golden import Golden
from passerelle.model.ledger_entry import Entry
from passerelle.names import MADE_BY_DEMO, ModelVersionRef
from passerelle.platform.child import Child
from passerelle.registry.client import Registry
from passerelle.registry.verified import history
from passerelle.rollout.local import Deployment
from passerelle.settings import SigningSettings
from passerelle.stages import demo, deploy, first_answer, monitor, status, train, up
from passerelle.stages import demo_ownership as rule
from passerelle.stages.context import context_of, silent
from passerelle.stages.demo_ownership import REASON
from passerelle.stages.events import Ended, Steps
from passerelle.stages.promote import PromotionRequest, promote
from passerelle.stages.rollback import rollback
from tests.platform_fixtures import HERE, RegisteredForTests, changed_object, flipped, model_keys

COMMENT = "Aucune réponse depuis trois mois"

pytestmark = [pytest.mark.e2e, pytest.mark.integration]
ROOT = Path(__file__).resolve().parents[2]
LOOSE = Criteria.model_validate({"champion": {"must_be_better": False, "not_worse_by": 1.0}})


@pytest.fixture
def registry(registered: RegisteredForTests, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Registry:
    """A registered model of the test's own, which the commands find by the environment, with a training that the demo finds done."""
    fresh = registered.named(monkeypatch, tmp_path)
    found = SimpleNamespace(parent_run_id=registered.parent_run_id)
    monkeypatch.setattr(train, "train_or_find", lambda *_, **__: found)
    return fresh


@pytest.fixture
def criteria(registered: RegisteredForTests, tmp_path: Path) -> Path:
    registered.register_all_elsewhere()
    path = tmp_path / "criteria.yaml"
    path.write_text("champion: {must_be_better: false, not_worse_by: 1.0}\n")
    return path


def entries(registry: Registry) -> tuple[Entry, ...]:
    return history(registry, registry.settings.registered_model).entries


def in_production(registry: Registry) -> int | None:
    return registry.aliases(registry.settings.registered_model).get("production")


def promoted(registry: Registry, ref: ModelVersionRef) -> None:
    promote(registry, ref=ref, criteria=LOOSE, request=PromotionRequest(who="marie@bureau", serving=HERE, reason="ready"))


def demonstrated(criteria: Path) -> str:
    steps = Steps(StepsShown(Output(as_json=False)))
    return str(demo.path_to_bento(context_of(os.environ), ROOT, criteria, steps, silent))


def served(stack: ExitStack) -> Child | None:
    steps = Steps(StepsShown(Output(as_json=False), timed=False))
    return up.service_of_production(context_of(os.environ), stack, ROOT, port=None, steps=steps)


def test_the_demo_promotes_its_own_and_leaves_what_others_promoted(
    registered: RegisteredForTests, registry: Registry, criteria: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demonstrated(criteria).split(":")[1].startswith("1-")
    [first] = entries(registry)
    assert (first.what, first.to_version, first.reason) == ("promote", 1, REASON)
    assert MADE_BY_DEMO in registry.model_version(registry.settings.registered_model, 1).tags
    capsys.readouterr()
    demonstrated(criteria)
    assert capsys.readouterr().out.count("already done") == 4
    assert len(entries(registry)) == 1
    other = next(run_id for run_id in registered.run_ids if run_id != first.run_id)
    promoted(registry, registered.register(registry, registered.run_ids.index(other)))
    for _ in range(2):
        assert demonstrated(criteria).split(":")[1].startswith("2-")
        said = capsys.readouterr().out
        assert "version 2 was put into production by marie@bureau at " in said
        assert "(promote: ready): it stays there" in said
        assert "▸ train" not in said
        assert "▸ register" not in said
        assert (in_production(registry), len(entries(registry))) == (2, 2)
    rollback(registry, who="paul@bureau")
    assert demonstrated(criteria).split(":")[1].startswith("1-")
    assert "by paul@bureau" in capsys.readouterr().out
    assert [entry.what for entry in entries(registry)] == ["promote", "promote", "rollback"]
    registry.delete_alias(registry.settings.registered_model, "production")
    with pytest.raises(NotFoundError, match="the demo puts nothing there"):
        demonstrated(criteria)
    assert in_production(registry) is None


def test_a_promotion_during_the_demo_stays(
    registered: RegisteredForTests, registry: Registry, criteria: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[rule.Production] = []

    def found(of: Registry, signing: SigningSettings | None) -> rule.Production:
        result = rule.found_by_demo(of, signing)
        looked.append(result)
        if len(looked) == 2:  # right before the demo promotes
            promoted(registry, registered.register(registry, 0))
        return result

    monkeypatch.setattr(demo, "found_by_demo", found)
    monkeypatch.setattr(demo, "compare", lambda *_, **__: SimpleNamespace(best=SimpleNamespace(run_id=registered.run_ids[1]), rows=()))
    with pytest.raises(BusyError, match="marie@bureau"):
        demonstrated(criteria)
    assert [entry.who for entry in entries(registry)] == ["marie@bureau"]


def test_up_serves_what_is_in_production_and_changes_nothing(
    registered: RegisteredForTests, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as stack:
        assert served(stack) is None
    said = capsys.readouterr().out
    assert f"no version of {registry.settings.registered_model} holds the alias production" in said
    assert "make demo" in said
    assert registry.versions(registry.settings.registered_model) == ()
    ref = registered.register(registry, 0)
    promoted(registry, ref)
    newer = registered.register(registry, 1)
    with ExitStack() as stack:
        child = served(stack)
        assert child is not None
        lines = capsys.readouterr().out.splitlines()
        address = next(line.split()[1] for line in lines if line.startswith("API"))
        request = next(line for line in lines if line.lstrip().startswith("curl "))
        answer = subprocess.run(["sh", "-c", request], capture_output=True, text=True, timeout=60, check=True).stdout
        assert json.loads(answer)["model_version"] == str(ref.version), "the request works as it is printed"
        ready = requests.get(f"{address.removesuffix('/docs')}/readyz", timeout=10).json()
        assert ready["model_version"] == str(ref.version) != str(newer.version)
        known_and_replaced(child, address.removesuffix("/docs"), ref)
    assert [entry.to_version for entry in entries(registry)] == [ref.version]
    assert len(registry.versions(registry.settings.registered_model)) == 2


def known_and_replaced(child: Child, address: str, ref: ModelVersionRef) -> None:
    """Other commands know the service of `up`; `deploy` replaces it by one of its own, and `up` takes that for no failure."""
    context = context_of(os.environ)
    found = status.run(context)
    assert (found.holdings.service, found.holdings.service_address, found.disagreements) == (ref.version, address, ())
    assert monitor.run(context).model_version == str(ref.version)
    try:
        deployed = deploy.run(context)
        assert isinstance(deployed, Deployment)
        assert deployed.changed
        assert deployed.address != address
        assert child.process is not None
        child.process.wait(30)
        steps = Steps(StepsShown(Output(as_json=False), timed=False))
        assert up._is_replaced(context, [(ref.registered_model, child)], steps, child)
        again = deploy.run(context, place=deploy.Place(registered_model=ref.registered_model))
        assert isinstance(again, Deployment)
        assert not again.changed
    finally:
        ended = deploy.run(context, place=deploy.Place(stop=True))
    assert ended == deploy.Stopped(deployed.address)


def test_up_stays_on_where_what_is_in_production_cannot_be_served(
    registered: RegisteredForTests, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    ref = registered.register(registry, 0)
    promoted(registry, ref)
    key = next(key for key in model_keys(registry, ref.run_id) if key.endswith("MLmodel"))
    with changed_object(registry, key, flipped), ExitStack() as stack:
        assert served(stack) is None
    printed = capsys.readouterr()
    assert "MLmodel" in printed.err
    assert "next: " in printed.err
    assert "The platform stays on" in printed.out
    assert in_production(registry) == ref.version


@pytest.mark.parametrize(
    ("record", "label", "asked"),
    [
        ({"text": "un texte de l'apprentissage"}, "Pb de suivi /Délai", {"text": COMMENT}),
        ({"alcohol": 13.2, "proline": 1065.0}, "barolo", {"alcohol": 13.2, "proline": 1065.0}),
        ({"text": "un texte de l'apprentissage", "place": "Paris 12"}, "Voirie", None),
    ],
)
def test_each_model_is_asked_what_it_takes(
    record: dict[str, Any], label: str, asked: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sent: list[Mapping[str, Any]] = []

    def ask(_: str, given: Mapping[str, Any], __: str | None) -> dict[str, Any]:
        sent.append(given)
        return {"label": label, "probability": None, "model_version": "3"}

    monkeypatch.setattr(first_answer, "ask", ask)
    answer = first_answer.first_answer("http://127.0.0.1:1", Golden((record,), (label,), (label,), None, 1e-6), comment=COMMENT)
    StepsShown(Output(as_json=False))(Ended("serve", answer, 0.1))
    said = capsys.readouterr().out
    assert sent == [asked or record]
    assert f"→  '{label}'   (version 3)" in said
    assert "un texte de l'apprentissage" not in said, "the training's records are not printed"
    assert "13.2" not in said
