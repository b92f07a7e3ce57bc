"""Plain `bentoml` in a project's folder, with nothing exported, works on the store that passerelle keeps there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from passerelle.platform.child import Child
from passerelle.platform.ports import free_ports
from passerelle_bentoml import store_of_this_folder
from tests.engine_fixtures import copied_project
from tests.platform_fixtures import OURS
from tests.service_fixtures import write_store

BENTOML = str(Path(sys.executable).with_name("bentoml"))
Plain = Callable[..., str]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project, as `make demo` leaves it, whose passerelle.toml names another model than service.py."""
    folder = copied_project(tmp_path / "project")
    service = folder / "service.py"
    service.write_text(service.read_text().replace('"classification:latest"', '"other:latest"'))
    (folder / "passerelle.toml").write_text('[settings]\nregistered_model = "classification"\n')
    write_store(folder / ".passerelle" / "bentoml")
    return folder


@pytest.fixture
def nothing_exported(given_environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """An environment that names no store, and a home folder without one."""
    (tmp_path / "home").mkdir()
    return {name: value for name, value in given_environment.items() if name != "PYTHONPATH"} | {"HOME": str(tmp_path / "home")}


@pytest.mark.integration
def test_plain_commands_work_on_the_projects_store(project: Path, nothing_exported: dict[str, str], tmp_path: Path) -> None:
    def plain(*arguments: str) -> str:
        done = subprocess.run(
            [BENTOML, *arguments], cwd=project, env=nothing_exported, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        assert f"passerelle: the BentoML store is {project / '.passerelle' / 'bentoml'}" in done.stderr
        return done.stdout

    assert "classification:7-00000000" in plain("models", "list", "--output", "json")
    built = plain("build", "--arg", "model=classification", "--output", "tag").strip().removeprefix("__tag__:")
    assert built in plain("list", "--output", "json"), "where `bentoml containerize` looks for it too"
    (port,) = free_ports(1)
    address, log = f"http://127.0.0.1:{port}", tmp_path / "serve.log"
    command = [BENTOML, "serve", "--host", "127.0.0.1", "--port", str(port)]
    child = Child("bentoml serve", command, nothing_exported, log, f"{address}/readyz", cwd=project)
    child.start()
    try:
        child.wait_until_healthy(90)
        assert requests.post(f"{address}/classify", json={"text": "merci"}, timeout=5).json()["model_version"] == "7"
    finally:
        child.stop()
    assert not (tmp_path / "home" / "bentoml").exists(), "the user's own store is left alone"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith(OURS)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_store_is_found_only_where_passerelle_keeps_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store_of_this_folder() is None
    (folder / ".passerelle" / "bentoml").mkdir(parents=True)
    assert store_of_this_folder() == folder / ".passerelle" / "bentoml"
    (folder / "state" / "bentoml").mkdir(parents=True)
    monkeypatch.setenv("PASSERELLE_STATE_DIR", "state")
    assert store_of_this_folder() == folder / "state" / "bentoml"
    monkeypatch.setenv("PASSERELLE_ENVIRONMENT", "staging")
    assert store_of_this_folder() is None, "a mistake in the settings is for passerelle to refuse"


def test_the_operators_own_store_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".passerelle" / "bentoml").mkdir(parents=True)
    monkeypatch.setenv("BENTOML_HOME", str(folder / "own"))
    assert store_of_this_folder() is None
