"""Each deployment gives its service a key of the records' digests: made once, private, and never in the place of one that is named."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from passerelle.errors import OutsideError
from passerelle.log_settings import LogSettings, check_log, digest_key
from passerelle.names import BentoTag
from passerelle.rollout import compose, local
from passerelle.rollout.cluster import Cluster
from passerelle.rollout.digest_secret import digest_variables
from passerelle.rollout.secret_files import make_secrets
from passerelle.rollout.stack import Stack
from passerelle.settings import StoreSettings
from tests.unit.rollout.test_replace import RELEASE

FILE = "PASSERELLE_LOG_DIGEST_KEY_FILE"
RECORDS = {"PASSERELLE_PREDICTION_LOG": "/var/lib/passerelle/predictions"}


def variables_here(folder: Path, **given: str) -> dict[str, str]:
    """Return the variables of a service on this machine, which is not started."""
    settings = StoreSettings.read({}, bentoml_home=folder / "bentoml")
    child, _ = local.service_child(BentoTag("demo", "1-aaaa1111"), folder, settings, folder / "state", None, environment=given)
    return dict(child.environment)


def test_a_service_here_gets_a_key_of_the_state_folder_that_is_made_once(tmp_path: Path) -> None:
    variables = variables_here(tmp_path)
    key = tmp_path / "state" / "log_digest_key"
    assert variables[FILE] == str(key)
    assert oct(key.stat().st_mode & 0o777) == "0o600"
    made = key.read_text()
    assert made.strip() not in json.dumps(variables)
    check_log(variables)
    assert digest_key(LogSettings.read(variables)) == made.strip().encode()
    assert (variables_here(tmp_path)[FILE], key.read_text()) == (str(key), made)
    key.write_text("cut")
    with pytest.raises(OutsideError, match="holds no key"):
        variables_here(tmp_path)
    assert key.read_text() == "cut"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({FILE: "/mine"}, "/mine"),
        ({"PASSERELLE_LOG_DIGEST_KEY": "mine"}, None),
        ({"PASSERELLE_LOG_DIGEST_KEY": ""}, None),
        ({"PASSERELLE_PREDICTION_LOG": ""}, None),
    ],
)
def test_no_key_is_made_where_one_is_named_or_nothing_is_recorded(tmp_path: Path, given: dict[str, str], expected: str | None) -> None:
    assert variables_here(tmp_path, **given).get(FILE) == expected
    assert not (tmp_path / "state" / "log_digest_key").exists()


@pytest.mark.parametrize("init", [True, False])
def test_a_stack_from_before_gets_a_key_before_its_replicas_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, init: bool) -> None:
    make_secrets(tmp_path / "secrets")
    key = tmp_path / "secrets" / "log_digest_key"
    key.unlink()
    there: list[bool] = []

    def run(_: object, *arguments: object, **__: object) -> str:
        there.append(key.exists())
        return '{"services": {}}' if "--format" in arguments else ""

    monkeypatch.setattr(Stack, "check", lambda _: None)
    monkeypatch.setattr(Stack, "must", run)
    monkeypatch.setattr(compose, "_MOUNTED", ())
    assert compose.bring_up(Stack(tmp_path), init=init, progress=lambda _: None) == ("log_digest_key",)
    made = key.read_text()
    assert compose.bring_up(Stack(tmp_path), init=init, progress=lambda _: None) == ()
    assert key.read_text() == made
    assert all(there)


def test_a_deployment_to_a_stack_that_runs_makes_the_key_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = tmp_path / "secrets" / "log_digest_key"
    key.parent.mkdir()
    there: list[bool] = []
    monkeypatch.setattr(compose, "_serving", lambda _: [None, None])
    monkeypatch.setattr(compose, "_replace", lambda *_: there.append(key.exists()))
    monkeypatch.setattr(Stack, "service_address", lambda _: "http://127.0.0.1:3000")
    compose._deployed(Stack(tmp_path), "sha256:new", RELEASE, lambda _: None)
    assert there == [True]


class ClusterForTests(Cluster):
    """Holds one Secret, or none, and remembers what it was asked for."""

    def __init__(self, variables: Mapping[str, str], *, holds: bool = False, refuses: str = "") -> None:
        env = [{"name": name, "value": value} for name, value in variables.items()]
        container = {"name": "classify", "env": env, "volumeMounts": [{"name": "log", "mountPath": "/run/log"}]}
        volumes = [{"name": "log", "secret": {"secretName": "classify-log", "optional": True}}]
        spec = {"template": {"spec": {"containers": [container], "volumes": volumes}}}
        super().__init__(Path(), "here", ({"kind": "Deployment", "metadata": {"name": "classify"}, "spec": spec},))
        object.__setattr__(self, "state", {"holds": holds, "refuses": refuses, "asked": [], "given": []})

    def kubectl(self, *arguments: str, given: str | None = None, **_: Any) -> subprocess.CompletedProcess[str]:
        state: dict[str, Any] = self.__dict__["state"]
        state["asked"].append(arguments)
        if arguments[0] == "get":
            return subprocess.CompletedProcess(arguments, 0, "secret/classify-log" if state["holds"] else "", "")
        state["given"].append(yaml.safe_load(given or ""))
        return subprocess.CompletedProcess(arguments, 1 if state["refuses"] else 0, "", state["refuses"])


def asked(cluster: ClusterForTests) -> tuple[list[str], list[dict[str, Any]], str]:
    state = cluster.__dict__["state"]
    return [arguments[0] for arguments in state["asked"]], state["given"], repr(state["asked"])


def test_a_cluster_gets_a_secret_where_it_holds_none() -> None:
    said: list[str] = []
    cluster = ClusterForTests(RECORDS)
    assert digest_variables(cluster, dry_run=False, progress=said.append) == {FILE: "/run/log/digest-key"}
    verbs, (secret,), arguments = asked(cluster)
    assert (verbs, said) == (["get", "create"], [])
    assert secret["metadata"] == {"name": "classify-log", "namespace": "here"}
    assert len(secret["stringData"]["digest-key"]) == 40
    assert secret["stringData"]["digest-key"] not in arguments, "arguments can be read by others"


@pytest.mark.parametrize("refuses", ["", 'secrets "classify-log" already exists (AlreadyExists)'])
def test_a_secret_that_is_there_is_never_replaced(refuses: str) -> None:
    cluster = ClusterForTests(RECORDS, holds=not refuses, refuses=refuses)
    assert digest_variables(cluster, dry_run=False, progress=lambda _: None) == {FILE: "/run/log/digest-key"}
    assert set(asked(cluster)[0]) <= {"get", "create"}


def test_a_dry_run_makes_none() -> None:
    cluster = ClusterForTests(RECORDS)
    assert digest_variables(cluster, dry_run=True, progress=lambda _: None) == {FILE: "/run/log/digest-key"}
    assert asked(cluster)[0] == []


def test_where_the_secret_may_not_be_made_the_pods_start_without_a_key() -> None:
    said: list[str] = []
    cluster = ClusterForTests(RECORDS, refuses="Error from server (Forbidden): secrets is forbidden")
    assert digest_variables(cluster, dry_run=False, progress=said.append) == {}
    assert "Forbidden" in said[0]


@pytest.mark.parametrize("variables", [{}, {**RECORDS, FILE: "/mine"}, {"PASSERELLE_PREDICTION_LOG": ""}])
def test_pods_that_record_nothing_or_have_a_key_are_left_alone(variables: dict[str, str]) -> None:
    cluster = ClusterForTests(variables)
    assert digest_variables(cluster, dry_run=False, progress=lambda _: None) == {}
    assert asked(cluster)[0] == []
