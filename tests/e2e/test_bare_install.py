"""The wheel without extras, in an environment of its own: each command works, or says which extra it needs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from passerelle.cli.main import OPERATIONS, STAGES
from passerelle.cli.version import described
from tests.e2e.several_commands import Answer, answers
from tests.scorer_fixtures import ROOT, run

pytestmark = [pytest.mark.e2e, pytest.mark.integration]
UV = [sys.executable, "-m", "uv"]
WORKS = {"env", "keys"}
ARGUMENTS = {
    "adopt": "adopt models:/comments/1",
    "convert": "convert models:/comments/1",
    "trace": "trace 1",
    "reproduce": "reproduce 1",
    "restore": "restore file.tar",
    "bundle": "bundle file.tar",
    "erase": "erase 1",
    "feedback": "feedback export --output file.csv",
    "score": "score --input file.csv --output folder",
}
NEEDING = [ARGUMENTS.get(str(command.name), str(command.name)) for command in (*STAGES, *OPERATIONS) if command.name not in WORKS]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds the wheel and requirements/scorer.txt alone."""
    folder = tmp_path_factory.mktemp("bare")
    run([*UV, "build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", str(folder), str(ROOT)])
    python = folder / "venv" / "bin" / "python"
    run([*UV, "venv", "--quiet", "--python", sys.executable, str(folder / "venv")])
    install = [*UV, "pip", "install", "--quiet", "--python", str(python)]
    run([*install, "--require-hashes", "-r", str(ROOT / "requirements" / "scorer.txt")])
    run([*install, "--no-deps", *map(str, folder.glob("*.whl"))])
    return python


@pytest.fixture
def answer(bare: Path, given_environment: dict[str, str], tmp_path: Path) -> Callable[..., dict[str, Answer]]:
    """Run commands with that Python in an empty folder."""
    installed = {name: value for name, value in given_environment.items() if name != "PYTHONPATH"}
    return partial(answers, bare, tmp_path, installed)


def test_each_command_that_needs_the_workbench_says_so(answer: Callable[..., dict[str, Answer]]) -> None:
    for command, found in answer(*NEEDING).items():
        assert (found.code, found.out) == (2, ""), command
        message, *hint = found.err.splitlines()
        assert "needs passerelle[workbench]" in message
        assert hint == ["  next: pip install 'passerelle[workbench]'"]


def test_the_others_work_and_say_which_version_they_are(answer: Callable[..., dict[str, Answer]]) -> None:
    found = answer("--help", "env", "keys make ci", "keys list", "keys revoke ci", "--version --json", "--version")
    assert [each.code for each in found.values()] == [0] * len(found), found
    assert "BENTOML_HOME" in found["env"].out
    assert "ci" in found["keys list"].out
    version = json.loads(found["--version --json"].out)
    # A file that was written meanwhile may have made the checkout dirty.
    assert str(version["commit"]).partition("-")[0] == str(described(ROOT)).partition("-")[0]
    assert (version["mlflow"], version["bentoml"]) == (None, "1.4.39")
    assert "MLflow not installed" in found["--version"].out


def test_the_script_is_installed(bare: Path) -> None:
    assert run([str(bare.with_name("passerelle")), "--version"]).startswith("passerelle ")
