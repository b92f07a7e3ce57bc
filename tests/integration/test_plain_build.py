"""Plain `bentoml build`, in a project that holds no copy of passerelle, makes a bento that runs where passerelle is not installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import requests

from passerelle.bentos.code import code_files
from passerelle.platform.child import Child
from passerelle.platform.ports import free_ports
from passerelle.project.answers import answers
from passerelle.project.create import create
from tests.service_fixtures import write_store

pytestmark = pytest.mark.integration


def test_a_bento_of_plain_bentoml_build_runs_without_passerelle(
    scorer_python: Path, given_environment: dict[str, str], tmp_path: Path
) -> None:
    project = create(tmp_path / "demandes", answers("demandes")).folder
    home = write_store(project / ".passerelle" / "bentoml")
    environment = {name: value for name, value in given_environment.items() if name != "PYTHONPATH"} | {"BENTOML_DO_NOT_TRACK": "true"}
    command = [sys.executable, "-m", "bentoml", "build", "--arg", "model=classification:7-00000000", "--output", "tag"]
    built = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert built.returncode == 0, built.stderr
    tag = built.stdout.strip().removeprefix("__tag__:")
    code = home / "bentos" / Path(*tag.split(":")) / "src"
    there = {path.relative_to(code).as_posix() for path in code.rglob("*.py")}
    assert there == {name for name in code_files(project) if name.endswith(".py")}
    (port,) = free_ports(1)
    address, log = f"http://127.0.0.1:{port}", tmp_path / "serve.log"
    # As its image does: the bento's own copy of passerelle is the only one.
    alone = environment | {"BENTOML_HOME": str(home), "PYTHONPATH": str(code / "src")}
    serve = [str(scorer_python), "-m", "bentoml", "serve", tag, "--host", "127.0.0.1", "--port", str(port)]
    child = Child("bentoml serve", serve, alone, log, f"{address}/readyz", cwd=tmp_path)
    child.start()
    try:
        child.wait_until_healthy(90)
        assert requests.post(f"{address}/classify", json={"text": "merci"}, timeout=5).json()["model_version"] == "7"
    finally:
        child.stop()
