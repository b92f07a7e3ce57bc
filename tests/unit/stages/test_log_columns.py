"""`--log-column` names the columns that one deployment logs, and is refused before anything starts where the model lacks one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from passerelle.bentos.store import Store
from passerelle.cli.main import passerelle
from passerelle.errors import UsageError
from passerelle.names import MODEL_FOLDER, BentoTag
from passerelle.rollout import kubernetes, local
from passerelle.rollout.kubernetes import ClusterDeployment
from passerelle.rollout.local import Deployment
from passerelle.rollout.stack import Stack
from passerelle.stages import deploy, stack_deploy, up
from passerelle.stages.context import Context, context_of
from passerelle.stages.events import Steps
from passerelle.stages.log_columns import column_setting
from passerelle.stages.place import Place
from tests.unit.rollout.test_replicas import overlay

TAG = BentoTag("districts", "1-aaaa1111")
NAME = "PASSERELLE_LOG_COLUMN"


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    """Settings that name one column, and a store whose model has two."""
    folder = tmp_path / "model" / MODEL_FOLDER
    folder.mkdir(parents=True)
    columns = [{"name": "age", "type": "long"}, {"name": "size of flat", "type": "string"}]
    flavor = {"serialization_format": "skops", "pickled_model": "model.skops", "sklearn_version": "1.8.0"}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"sklearn": flavor}, "signature": {"inputs": json.dumps(columns)}}))
    monkeypatch.setattr(Store, "model_of", lambda *_: SimpleNamespace(path=str(folder.parent)))
    return context_of({"PASSERELLE_STATE_DIR": str(tmp_path / "state"), NAME: "age"})


@pytest.mark.parametrize(
    ("named", "setting"),
    [
        ((), None),
        (("size of flat",), "size of flat"),
        (("size of flat", "age"), "size of flat,age"),
        (("age,size of flat",), "age,size of flat"),
    ],
)
def test_the_columns_that_are_named_become_the_setting(context: Context, named: tuple[str, ...], setting: str | None) -> None:
    assert column_setting(context.store, TAG, named, target=None) == ({} if setting is None else {NAME: setting})


def test_a_column_that_the_model_lacks_is_refused_with_those_that_it_has(context: Context) -> None:
    with pytest.raises(UsageError, match="has no column 'city' that could be logged; it has age, size of flat") as refused:
        column_setting(context.store, TAG, ("age", "city"), target=None)
    assert refused.value.hint == "passerelle up --log-column age"


class Started:
    """Stands in for what starts services, and keeps the variables that each was started with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.columns: list[str | None] = []
        monkeypatch.setattr(deploy, "bento_to_serve", lambda *_, **__: TAG)
        monkeypatch.setattr(local, "deploy", self._deploy)
        monkeypatch.setattr(deploy, "find_cluster", lambda *_: overlay("PASSERELLE_AUTH", NAME))
        monkeypatch.setattr(deploy, "release_of", lambda *_, **__: SimpleNamespace(image="image"))
        monkeypatch.setattr(deploy, "replace", lambda each, **_: each)
        monkeypatch.setattr(deploy, "pushed_as", lambda _: None)
        monkeypatch.setattr(kubernetes, "deploy", self._to_cluster)
        monkeypatch.setattr(deploy, "find_stack", lambda _: Stack(Path("/nowhere")))
        for name in ("check", "check_secrets"):
            monkeypatch.setattr(Stack, name, lambda _: None)
        monkeypatch.setattr(Stack, "runs", lambda *_: True)
        monkeypatch.setattr(Stack, "mlflow_is_up_to_date", lambda _: True)
        monkeypatch.setattr(stack_deploy, "release_of", lambda *_, **__: None)
        monkeypatch.setattr(stack_deploy, "deploy", self._to_stack)
        monkeypatch.setattr(stack_deploy, "replace", lambda each, **given: Stack(each.folder, **given) if "overrides" in given else each)

    def _deploy(self, *_: Any, environment: Mapping[str, str], **__: Any) -> Deployment:
        self.columns.append(environment.get(NAME))
        return Deployment(None, TAG, None, 0.0, None, changed=True)

    def _to_cluster(self, cluster: Any, *_: Any, **__: Any) -> ClusterDeployment:
        env = cluster.objects[0]["spec"]["template"]["spec"]["containers"][0]["env"]
        self.columns.append(next(entry["value"] for entry in env if entry["name"] == NAME))
        return ClusterDeployment("", TAG, "image", 1, None, changed=True)

    def _to_stack(self, stack: Stack, *_: Any, **__: Any) -> object:
        self.columns.append(stack.values().get(NAME))
        return stack


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, context: Context) -> Started:
    monkeypatch.setenv(NAME, context.environment[NAME])
    return Started(monkeypatch)


@pytest.mark.parametrize("target", ["local", "compose", "kubernetes"])
def test_each_target_gets_the_columns_in_place_of_the_setting_or_starts_nothing(context: Context, started: Started, target: Any) -> None:
    deploy.run(context, str(TAG), Place(target, log_columns=("size of flat",)))
    assert started.columns == ["size of flat"]
    with pytest.raises(UsageError, match="no column 'city'") as refused:
        deploy.run(context, str(TAG), Place(target, log_columns=("city",)))
    assert len(started.columns) == 1
    assert refused.value.hint == f"passerelle deploy {TAG} --target {target} --log-column age"


def test_up_ends_before_the_service_starts_where_a_column_is_missing(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    environments: list[Mapping[str, str]] = []

    class ReachedError(Exception):
        pass

    def attached(*_: Any, environment: Mapping[str, str], **__: Any) -> None:
        environments.append(environment)
        raise ReachedError

    monkeypatch.setattr(Context, "registry", None)
    monkeypatch.setattr(up, "nothing_in_production", lambda *_: None)
    monkeypatch.setattr(up, "bento_in_production", lambda *_: TAG)
    monkeypatch.setattr(local, "attached", attached)
    with ExitStack() as stack:
        with pytest.raises(UsageError, match="no column 'city'"):
            up.service_of_production(context, stack, Path(), port=None, log_columns=["city"], steps=Steps())
        assert environments == []
        with pytest.raises(ReachedError):
            up.service_of_production(context, stack, Path(), port=None, log_columns=["size of flat"], steps=Steps())
    assert environments[0][NAME] == "size of flat"


def test_columns_of_no_service_are_refused(context: Context) -> None:
    for run in (up.run, up.run_stack):
        with pytest.raises(UsageError, match="--no-model leaves the service out") as refused:
            run(context, platform_only=True, log_columns=("age",))
        assert refused.value.hint == "passerelle up --log-column age"
    with pytest.raises(UsageError, match="--stop ends one"):
        Place(stop=True, log_columns=("age",)).check()


def test_compose_gets_the_columns_before_those_of_env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Mapping[str, str]] = []

    def run(command: Any, *, env: Mapping[str, str], **_: Any) -> subprocess.CompletedProcess[str]:
        given.append(env)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setenv(NAME, "city")
    (tmp_path / "compose.yaml").write_text(f"a: ${{{NAME}:-}}\n")
    stack = Stack(tmp_path, {NAME: "age"})
    stack.compose("ps")
    stack.compose("up", variables={NAME: ""})
    assert [each[NAME] for each in given] == ["age", ""], "a replica that is put back gets what it had"


@pytest.mark.parametrize("command", ["up", "deploy"])
def test_help_names_the_option(command: str) -> None:
    assert "--log-column NAME" in CliRunner().invoke(passerelle, [command, "--help"]).output
