"""Docker's commands in Buildah's words, and what Buildah says of an image under docker's names."""

from __future__ import annotations

import json
import subprocess

import pytest

from passerelle.bentos.buildah import answer, docker_form

IMAGE = {
    "FromImage": "localhost/passerelle/classification:1",
    "FromImageID": "ab12",
    "FromImageDigest": "sha256:cd34",
    "Manifest": json.dumps({"layers": [{"size": 30, "digest": "sha256:0f"}, {"size": 12, "digest": "sha256:1f"}]}),
    "Docker": {
        "architecture": "amd64",
        "created": "2026-01-01T00:00:00Z",
        "config": {"Labels": {"a": "b"}, "Entrypoint": ["python3"]},
        "rootfs": {"diff_ids": ["sha256:ef56"]},
    },
}


class Recorded:
    """Buildah as far as these commands need it; keeps what it was called with."""

    def __init__(self, *, failing: str = "") -> None:
        self.calls: list[list[str]] = []
        self._failing = failing

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        self.calls.append(list(words))
        output = {"inspect": json.dumps(IMAGE), "from": "container-1\n", "run": "printed"}.get(words[0], "")
        return subprocess.CompletedProcess(["buildah"], int(words[0] == self._failing), output, "")


@pytest.mark.parametrize(
    ("of_docker", "of_buildah"),
    [
        ("info --format {{json.}}", "info"),
        ("image rm a:1", "rmi a:1"),
        ("image ls --quiet --filter label=a", "images --quiet --no-trunc --filter label=a"),
        ("save --output /f.tar a:1", "push --quiet a:1 docker-archive:/f.tar:localhost/a:1"),
        ("load --quiet --input /f.tar", "pull --quiet docker-archive:/f.tar"),
        ("tag a:1 b:1", "tag a:1 b:1"),
        ("pull --quiet a:1", "pull --quiet a:1"),
        ("push --digestfile /d a:1", "push --digestfile /d a:1"),
    ],
)
def test_each_command_has_its_words(of_docker: str, of_buildah: str) -> None:
    run = Recorded()
    answer(run, of_docker.split())
    assert run.calls == [of_buildah.split()]


def test_an_image_is_described_under_dockers_names() -> None:
    described = docker_form(IMAGE)
    assert described["Id"] == "sha256:ab12"
    assert described["RepoDigests"] == ["localhost/passerelle/classification@sha256:cd34"]
    assert (described["Architecture"], described["Size"], described["Config"]["Labels"]) == ("amd64", 42, {"a": "b"})
    assert json.loads(answer(Recorded(), ["image", "inspect", "a:1"]).stdout) == [described]
    assert answer(Recorded(failing="inspect"), ["image", "inspect", "a:1"]).returncode == 1


def test_a_digest_that_no_registry_has_is_left_out() -> None:
    built_here = IMAGE | {"Manifest": json.dumps({"layers": [{"size": 30, "digest": "sha256:ef56"}]})}
    assert docker_form(built_here)["RepoDigests"] == []


@pytest.mark.parametrize("failing", ["", "run"])
def test_a_container_is_removed_whether_its_program_failed_or_not(failing: str) -> None:
    run = Recorded(failing=failing)
    given = ["--rm", "--network", "none", "--read-only", "--cap-drop", "ALL", "--entrypoint", "python3", "a:1", "-c", "print()"]
    done = answer(run, ["run", *given])
    assert (done.returncode, done.stdout) == (int(failing == "run"), "printed")
    assert run.calls == [
        ["from", "--quiet", "a:1"],
        ["run", "--cap-drop", "ALL", "container-1", "--", "python3", "-c", "print()"],
        ["rm", "container-1"],
    ]


def test_another_platform_is_chosen_where_the_container_is_made() -> None:
    run = Recorded(failing="from")
    done = answer(run, ["run", "--rm", "--platform", "linux/arm64", "--entrypoint", "python3", "a:1", "--version"])
    assert done.returncode == 1
    assert run.calls == [["from", "--quiet", "--platform", "linux/arm64", "a:1"]]
