"""The models that `status` and `up` go through, and commands that name one of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerelle.bentos import store
from passerelle.errors import NotFoundError, UsageError
from passerelle.registry.client import Registry
from passerelle.registry.objects import Objects
from passerelle.rollout.stack import Stack
from passerelle.stages import known_models
from passerelle.stages.context import context_of
from passerelle.stages.stack_deploy import check_one_model
from passerelle.stages.up import _check_port, _next_commands

TWO = '[settings]\nregistered_model = "comments"\n[models.themes]\nexperiment = "titles"\n'


def test_models_come_from_the_project_the_store_and_the_services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "passerelle.toml").write_text(TWO)
    monkeypatch.setattr(store, "models_in_store", lambda _: ("adopted", "themes"))
    monkeypatch.setattr(known_models, "running_services", lambda _: {"comments": None, "older": None})
    variables = {"PASSERELLE_REGISTERED_MODEL": "comments", "PASSERELLE_EXPERIMENT": "notes", "MLFLOW_TRACKING_URI": "http://127.0.0.1:1"}
    found = known_models.known_models(context_of(variables), tmp_path)
    assert {name: (context.mlflow.registered_model, context.mlflow.experiment) for name, context in found.items()} == {
        "comments": ("comments", "notes"),
        "themes": ("themes", "titles"),
        "adopted": ("adopted", "notes"),
        "older": ("older", "notes"),
    }
    there = found["themes"].at({"MLFLOW_TRACKING_URI": "http://127.0.0.1:2"})
    assert there.mlflow.registered_model == "themes", "on another platform too"


def test_a_name_that_nothing_knows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "passerelle.toml").write_text(TWO)
    monkeypatch.setattr(store, "models_in_store", lambda _: ("adopted",))
    monkeypatch.setattr(known_models, "running_services", lambda _: {})
    monkeypatch.setattr(Registry, "check", lambda _: None)
    monkeypatch.setattr(Registry, "newest_version", lambda _, name: name if name == "registered" else None)
    monkeypatch.setattr(Objects, "keys", lambda _, prefix, **__: prefix == "ledger/refused/")
    variables = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    for name in ("comments", "themes", "adopted", "registered", "refused"):
        known_models.check_known(context_of(variables | {"PASSERELLE_REGISTERED_MODEL": name}), tmp_path)
    answers = {"theme": ("did you mean 'themes'", "themes"), "else": ("here is comments, themes, adopted", "comments")}
    for name, (answer, there) in answers.items():
        with pytest.raises(NotFoundError, match=f"'{name}': {answer}") as refused:
            known_models.check_known(context_of(variables | {"PASSERELLE_REGISTERED_MODEL": name}), tmp_path)
        assert refused.value.hint == f"passerelle status --model {there}"


def test_what_leads_to_a_service_names_the_model_where_there_are_several(tmp_path: Path) -> None:
    assert [command for command, _ in _next_commands(tmp_path, "classification")][1] == "passerelle train; passerelle promote --best"
    (tmp_path / "passerelle.toml").write_text(TWO)
    assert _next_commands(tmp_path, "comments")[0][0] == "make demo"
    assert [command for command, _ in _next_commands(tmp_path, "themes")] == [
        "passerelle train --model themes; passerelle promote --best --model themes",
        "passerelle import --model themes; passerelle build --model themes; passerelle deploy --model themes",
    ]


def test_one_port_is_for_one_model() -> None:
    _check_port(8080, ("comments",))
    _check_port(None, ("comments", "themes"))
    with pytest.raises(UsageError, match="--port names one port, and there are 2 models: comments, themes"):
        _check_port(8080, ("comments", "themes"))


def test_a_stack_serves_one_model(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {}\n")
    check_one_model(Stack(tmp_path), "themes")
    (tmp_path / ".env").write_text("SERVICE_BENTO=comments:1-aaaa1111\n")
    check_one_model(Stack(tmp_path), "comments")
    with pytest.raises(UsageError, match="serves comments, and a stack serves one registered model") as refused:
        check_one_model(Stack(tmp_path), "themes")
    assert refused.value.hint == "passerelle deploy --model themes"
