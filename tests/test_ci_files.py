"""The files of CI, here and in a new project: lines that can be typed, pinned actions, the least permissions, valid schemas."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from passerelle.project.answers import answers
from passerelle.project.create import create
from tests.unit.hint_commands import problem_of

ROOT = Path(__file__).resolve().parents[1]
TARGET = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)
PINNED = re.compile(r"^\s*-? *uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", re.MULTILINE)
#: The steps that issue from an alias in the registry to a deployment by digest, in their order.
DELIVERY = ["environment", "login", "image", "scan", "environment", "roll-out"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project as `passerelle new` writes it."""
    return create(tmp_path_factory.mktemp("projects") / "mon-projet", answers("mon-projet")).folder


@pytest.fixture(scope="module", params=["repository", "project"])
def folder(request: pytest.FixtureRequest, project: Path) -> Path:
    """The repository, and a new project."""
    return ROOT if request.param == "repository" else project


def workflows(folder: Path) -> dict[str, dict[Any, Any]]:
    found = sorted((folder / ".github" / "workflows").glob("*.yml"))
    return {path.name: yaml.safe_load(path.read_text()) for path in found}


def gitlab(folder: Path) -> dict[str, Any]:
    """Return what GitLab reads: the file, and those that it includes."""
    read: dict[str, Any] = yaml.safe_load((folder / ".gitlab-ci.yml").read_text())
    for included in read.pop("include"):
        read |= yaml.safe_load((folder / included["local"]).read_text())
    return read


def steps(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, workflow in workflows(folder).items():
        for job in workflow["jobs"].values():
            for step in job["steps"]:
                yield name, step


def scripts(folder: Path) -> list[str]:
    """Return each line that a runner of GitHub or of GitLab types."""
    lines = [line for _, step in steps(folder) for line in step.get("run", "").splitlines()]
    for job in gitlab(folder).values():
        if isinstance(job, dict):
            lines += [line for part in ("before_script", "script", "after_script") for line in job.get(part, [])]
    return lines


def targets(folder: Path) -> set[str]:
    makefiles = (folder / "Makefile", folder / "deploy" / "delivery.mk")
    return {name for path in makefiles for name in TARGET.findall(path.read_text())}


def problem(line: str, known: set[str]) -> str | None:
    """Return why a line is neither `make TARGET` nor `passerelle COMMAND`, or None."""
    program, *words = shlex.split(line)
    if program == "passerelle":
        return problem_of(line)
    if program != "make":
        return f"{line} calls {program}"
    named = [word for word in words if "=" not in word]
    unknown = [word for word in named if word not in known]
    return f"the Makefile has no target {unknown or words}" if unknown or not named else None


def test_each_line_of_ci_is_a_target_or_a_command(folder: Path) -> None:
    lines = scripts(folder)
    assert len(lines) >= 12, "the search finds the lines"
    assert [found for line in lines if (found := problem(line, targets(folder)))] == []


@pytest.mark.parametrize("line", ["pip install passerelle", "make fly", "make", "passerelle fly", "make lint && curl example.org"])
def test_any_other_line_is_found(line: str) -> None:
    assert problem(line, {"lint"}) is not None


def test_the_delivery_is_the_same_on_both_systems(folder: Path) -> None:
    jobs = workflows(folder)["delivery.yml"]["jobs"]
    of_github = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    read = gitlab(folder)
    of_gitlab = [line for name in ("containerize", "deploy") for line in read[name]["script"]]
    assert of_github == [f"make {target}" for target in DELIVERY]
    assert [line for line in of_gitlab if line != "make engine"] == of_github


def test_actions_are_pinned_by_hash_and_keep_no_credentials(folder: Path) -> None:
    for path in (folder / ".github" / "workflows").glob("*.yml"):
        text = path.read_text()
        assert text.count("uses: ") == len(PINNED.findall(text)), path.name
    checkouts = [step for _, step in steps(folder) if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_each_job_has_the_least_permissions_and_a_time_limit(folder: Path) -> None:
    for name, workflow in workflows(folder).items():
        assert workflow["permissions"] == {}, name
        assert workflow["concurrency"], name
        for job in workflow["jobs"].values():
            assert job["timeout-minutes"] <= 60
            assert job["permissions"]
        assert "${{" not in "".join(step.get("run", "") for where, step in steps(folder) if where == name)


def test_one_deployment_at_a_time_by_digest(folder: Path) -> None:
    deploy = workflows(folder)["delivery.yml"]["jobs"]["deploy"]
    assert (deploy["environment"], deploy["concurrency"]["group"]) == ("production", "production")
    assert "steps.image.outputs.IMAGE" in workflows(folder)["delivery.yml"]["jobs"]["image"]["outputs"]["image"]
    job = gitlab(folder)["deploy"]
    assert (job["environment"]["name"], job["resource_group"]) == ("production", "production")
    assert gitlab(folder)["containerize"]["artifacts"]["reports"]["dotenv"] == "image.env"


def delivery(tmp_path: Path, target: str, **engines: int) -> subprocess.CompletedProcess[str]:
    """Return what a target says where these container engines are installed and answer with these exit codes."""
    for name, status in ({"docker": 1, "podman": 1, "buildah": 1, "apt-get": 0} | engines).items():
        (tmp_path / name).write_text(f'#!/bin/sh\n[ "$1" = info ] && exit {status}\necho "{name} $*"\n')
        (tmp_path / name).chmod(0o755)
    command = ["make", "--silent", "--file", str(ROOT / "deploy" / "delivery.mk"), target, "SHELL=/bin/bash"]
    given = {"PATH": f"{tmp_path}:/usr/bin:/bin", "REGISTRY": "registry.example.org", "REGISTRY_USER": "me", "REGISTRY_PASSWORD": "secret"}
    return subprocess.run(command, env=given, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(("engines", "chosen"), [({"docker": 0, "buildah": 0}, "docker"), ({"buildah": 0}, "buildah")])
def test_the_login_is_for_the_engine_that_answers(tmp_path: Path, engines: dict[str, int], chosen: str) -> None:
    assert delivery(tmp_path, "engine", **engines).stdout == f"container engine: {chosen}\n"
    done = delivery(tmp_path, "login", **engines)
    assert done.stdout == f"{chosen} login --username me --password-stdin registry.example.org\n"
    assert "secret" not in done.stdout + done.stderr


def test_without_an_engine_buildah_is_installed_and_without_a_name_nothing_runs(tmp_path: Path) -> None:
    assert delivery(tmp_path, "engine").stdout == "apt-get update -qq\ncontainer engine: buildah\n"
    assert "next: make engine" in delivery(tmp_path, "login").stderr
    assert "IMAGE is not set" in delivery(tmp_path, "image").stderr


def test_a_new_project_passes_its_own_lint_and_tests_and_an_error_does_not(project: Path, tmp_path: Path) -> None:
    """The locked ruff stands in for the one that uv would download; it is the same version."""
    uv = tmp_path / "uv"
    uv.write_text(f'#!/bin/sh\n[ "$1 $2 $3" = "tool run ruff@{version("ruff")}" ] || exit 9\nshift 3\nexec {tool("ruff")} "$@"\n')
    uv.chmod(0o755)
    typed = ("make", "--silent", "--directory", str(project), f"PYTHON={sys.executable}", f"UV={uv}")
    passes(*typed, "lint")
    passes(*typed, "test")
    wrong = project / "training" / "wrong.py"
    wrong.write_text("import os\n")
    try:
        done = subprocess.run([*typed, "lint"], capture_output=True, text=True, timeout=120, check=False)
    finally:
        wrong.unlink()
    assert "F401" in done.stdout
    assert done.returncode == 2


def tool(name: str) -> str:
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    return found or pytest.skip(f"{name} is not installed")


def passes(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("schema", "pattern"), [("github-workflows", ".github/workflows/*.yml"), ("gitlab-ci", ".gitlab*/*.yml")])
def test_the_files_follow_the_schemas(folder: Path, schema: str, pattern: str) -> None:
    files = [str(path) for path in sorted(folder.glob(pattern))]
    files += [str(folder / ".gitlab-ci.yml")] if schema == "gitlab-ci" else []
    passes(tool("check-jsonschema"), "--builtin-schema", f"vendor.{schema}", *files)


def test_zizmor_finds_nothing_in_the_workflows(folder: Path) -> None:
    passes(tool("zizmor"), "--offline", "--no-progress", "--quiet", "--persona=pedantic", str(folder / ".github" / "workflows"))


def test_actionlint_finds_nothing_in_the_workflows(folder: Path) -> None:
    passes(tool("actionlint"), *(str(path) for path in sorted((folder / ".github" / "workflows").glob("*.yml"))))


def test_secrets_are_for_the_default_branch_alone(folder: Path) -> None:
    """A delivery that somebody starts by hand on a branch of their own would deploy that branch."""
    assert "github.ref_name == github.event.repository.default_branch" in workflows(folder)["delivery.yml"]["jobs"]["image"]["if"]
    assert all("$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH" in rule["if"] for rule in gitlab(folder)[".delivery"]["rules"])
