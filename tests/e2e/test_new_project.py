"""Outside of the checkout, with nothing but the wheel: two new projects side by side go the whole path, and keep apart."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
from itertools import takewhile
from pathlib import Path

import pytest

from passerelle.bentos.code import code_files
from passerelle.cli.output import Output
from passerelle.project.answers import answers
from passerelle.project.create import create
from passerelle.stages.shared_model import name_other_projects, tags_of_project
from tests.platform_fixtures import RegisteredForTests
from tests.project_copies import fewer_candidates

pytestmark = [pytest.mark.e2e, pytest.mark.integration]
ROOT = Path(__file__).resolve().parents[2]


def run(folder: Path, *command: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture
def wheel_python(tmp_path: Path) -> Path:
    """The Python of an environment that has passerelle from its wheel, and the libraries of this environment."""
    uv = [sys.executable, "-m", "uv"]
    python = tmp_path / "venv" / "bin" / "python"
    build = ["build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", str(tmp_path), str(ROOT)]
    venv = ["venv", "--quiet", "--python", sys.executable, str(tmp_path / "venv")]
    for command in (build, venv):
        done = run(tmp_path, *uv, *command)
        assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    done = run(tmp_path, *uv, "pip", "install", "--quiet", "--offline", "--no-deps", "--python", str(python), str(wheel))
    assert done.returncode == 0, done.stderr
    # Other .pth files of that folder, hence the checkout, are not read.
    (found,) = python.parents[1].glob("lib/*/site-packages")
    (found / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    return python


@pytest.mark.timeout(1_500)
def test_two_projects_go_the_whole_path_from_the_wheel_alone(wheel_python: Path, given_environment: dict[str, str], tmp_path: Path) -> None:
    # The libraries' commands, such as the S3 server's, come from this environment, and passerelle's from the wheel's.
    path = f"{wheel_python.parent}:{Path(sys.executable).parent}:{given_environment['PATH']}"
    environment = given_environment | {"PATH": path, "HOME": str(tmp_path)}
    environment.pop("PYTHONPATH", None)
    imported = run(tmp_path, str(wheel_python), "-c", "import passerelle; print(passerelle.__file__)", environment=environment)
    assert Path(imported.stdout).is_relative_to(wheel_python.parents[1]), imported.stdout + imported.stderr
    projects = [tmp_path / "mes-demandes", tmp_path / "requests"]
    for project, language in zip(projects, ("fr", "en"), strict=True):
        command = ["passerelle", "new", str(project), "--table", "--label-column", "urgency", "--language", language]
        done = run(tmp_path, *command, environment=environment)
        assert done.returncode == 0, done.stderr
        assert not (project / "src").exists()
        fewer_candidates(project)
        (project / ".venv").symlink_to(wheel_python.parents[1])
    # As somebody types who never activated the environment.
    plain_shell = environment | {"PATH": path.partition(":")[2]}
    _type_the_last_lines(_demos(projects, plain_shell), projects[1], plain_shell)
    for project in projects:
        (bento,) = (project / ".passerelle" / "bentoml" / "bentos" / project.name).glob("1-*/src")
        there = {path.relative_to(bento).as_posix() for path in bento.rglob("*.py")}
        ours = {name: path for name, path in code_files(ROOT).items() if name.endswith(".py")}
        assert there == set(ours), "the bento holds what one of the checkout holds"
        assert all((bento / name).read_bytes() == path.read_bytes() for name, path in ours.items() if name != "service.py")
    plain = run(projects[1], "bentoml", "build", "--arg", f"model={projects[1].name}:latest", "--output", "tag", environment=environment)
    assert plain.returncode == 0, plain.stderr
    tag = plain.stdout.strip().removeprefix("__tag__:")
    made = projects[1] / ".passerelle" / "bentoml" / "bentos" / Path(*tag.split(":")) / "src"
    assert {path.relative_to(made).as_posix() for path in made.rglob("*.py")} == there, "plain bentoml adds the same code"
    tested = run(projects[0], "make", "test", environment=environment)
    assert tested.returncode == 0, tested.stderr
    (projects[0] / "service.py").unlink()
    refused = run(projects[0], "make", "demo", environment=environment)
    assert "service.py is missing" in refused.stderr
    assert "▸ platform" not in refused.stdout, "said before any server starts"


def _demos(projects: list[Path], environment: dict[str, str]) -> str:
    """Run the demos side by side, and return what the last one printed."""
    demos = [
        subprocess.Popen(["make", "demo"], cwd=project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for project in projects
    ]
    for project, demo in zip(projects, demos, strict=True):
        said = demo.communicate(timeout=900)[0]
        assert demo.returncode == 0, said
        assert f"{project.name} version 1 is in production" in said
        assert "version 1)" in said.rpartition("POST /classify")[2]
    return said


def _type_the_last_lines(said: str, project: Path, environment: dict[str, str]) -> None:
    """Type what the demo ends with, and what `up` prints meanwhile, as it stands."""
    up, *others = _commands(said.partition("typed as it stands:")[2])
    assert up == "make up"
    assert ".venv/bin/passerelle --help" in others
    service = subprocess.Popen(
        up.split(), cwd=project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0
    )
    try:
        assert service.stdout is not None
        printed = "".join(takewhile(lambda line: "Ctrl-C ends it" not in line, service.stdout))
        others += _commands(printed.partition("typed as it stands:")[2])
        assert 'eval "$(.venv/bin/passerelle env)"' in others
        for command in others:
            done = run(project, "sh", "-c", command, environment=environment)
            assert done.returncode == 0, (command, done.stdout + done.stderr)
    finally:
        os.killpg(service.pid, signal.SIGINT)
        service.communicate(timeout=120)


def _commands(text: str) -> list[str]:
    return re.findall(r"^  (\S.*)$", text, re.MULTILINE)


def test_a_registered_model_of_two_projects_is_told(
    registered: RegisteredForTests, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = registered.fresh()
    first, second = (create(tmp_path / name, answers("motifs")).folder for name in ("a", "b"))
    ref = registered.register(registry)
    registry.set_version_tags(ref, tags_of_project(first))
    capsys.readouterr()
    name_other_projects(registry, first, Output(as_json=False).progress)
    assert capsys.readouterr().err == ""
    name_other_projects(registry, second, Output(as_json=False).progress)
    identifier = json.loads((first / ".passerelle-project.json").read_text())["id"]
    assert f"has versions of other projects too: motifs ({identifier})" in capsys.readouterr().err
