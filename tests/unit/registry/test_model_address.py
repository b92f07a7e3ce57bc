"""The addresses of models, and which model of a run one means."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from passerelle.errors import NotFoundError, UsageError
from passerelle.names import bento_name
from passerelle.registry.logged_models import only_model
from passerelle.registry.model_address import ModelAddress, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("models:/comments/3", {"registered_model": "comments", "version": 3}),
        ("models:/comments@production", {"registered_model": "comments", "alias": "production"}),
        ("models:/réclamations d'été/12", {"registered_model": "réclamations d'été", "version": 12}),
        ("models:/a@b@champion", {"registered_model": "a@b", "alias": "champion"}),
        ("models:/comments/Production", {"registered_model": "comments", "stage": "Production"}),
        ("models:/m-" + "0" * 32, {"model_id": "m-" + "0" * 32}),
        ("runs:/abc", {"run_id": "abc"}),
        ("runs:/abc/nested/model", {"run_id": "abc", "path": "nested/model"}),
    ],
)
def test_each_form_of_mlflow_is_read(text: str, address: dict[str, Any]) -> None:
    assert parse_address(text) == ModelAddress(text, **address)


@pytest.mark.parametrize(
    "text", ["", "comments", "models:/comments", "models:/@production", "models:/comments@", "runs:/", "s3://bucket/model", "3"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not the address of a model"):
        parse_address(text)


class Client:
    """MLflow's client for one run: its models of MLflow 3 by name, and those of MLflow 2 by path."""

    def __init__(self, named: dict[str, str], paths: tuple[str, ...] = ()) -> None:
        self._named = named
        history = json.dumps([{"artifact_path": path} for path in paths])
        outputs = [SimpleNamespace(model_id=model_id) for model_id in named]
        info, data = (
            SimpleNamespace(artifact_uri="s3://bucket/1/run/artifacts/"),
            SimpleNamespace(tags={"mlflow.log-model.history": history}),
        )
        self._run = SimpleNamespace(outputs=SimpleNamespace(model_outputs=outputs), info=info, data=data)

    def get_run(self, _: str) -> Any:
        return self._run

    def get_logged_model(self, model_id: str) -> Any:
        return SimpleNamespace(name=self._named[model_id])

    def list_artifacts(self, _: str, path: str) -> list[Any]:
        return [SimpleNamespace(path=f"{path}/MLmodel")] if path == "copied/model" else []


def test_the_one_model_of_a_run_is_found() -> None:
    assert only_model(Client({"m-1": "model"}), "run").source == "models:/m-1"
    assert only_model(Client({}, ("nested/model",)), "run").source == "s3://bucket/1/run/artifacts/nested/model"
    assert only_model(Client({}), "run", "copied/model/").source == "s3://bucket/1/run/artifacts/copied/model"


def test_of_several_models_one_must_be_named() -> None:
    client = Client({"m-1": "first", "m-2": "second"}, ("old",))
    with pytest.raises(UsageError, match="logged 3 models, of which one must be named: first, old, second") as refused:
        only_model(client, "run")
    assert refused.value.hint == "passerelle adopt runs:/run/second"
    assert only_model(client, "run", "first").source == "models:/m-1"
    with pytest.raises(NotFoundError, match="logged no model 'third': it logged first, old, second"):
        only_model(client, "run", "third")
    with pytest.raises(NotFoundError, match="logged no model"):
        only_model(Client({}), "run")


def test_a_name_that_no_bento_can_have_is_refused() -> None:
    with pytest.raises(UsageError, match="has no letter or digit"):
        bento_name("苦情の分類")
    with pytest.raises(UsageError, match="has 200 characters, and the name of a bento has 63 at most"):
        bento_name("a" * 200)
    assert bento_name("a" * 63) == "a" * 63
