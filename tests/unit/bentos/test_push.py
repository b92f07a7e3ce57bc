"""A pushed image is named by the digest of its registry."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from passerelle.bentos import push as module
from passerelle.bentos.push import push, registry_of
from passerelle.errors import OutsideError, UsageError
from passerelle.names import ImageRef

IMAGE = ImageRef("registry.example.org/team/classification", "7")
DIGEST = "sha256:" + "0" * 64
Answering = Callable[..., None]


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Answering:
    """Let the engine answer `push` with an exit code and what it prints; podman writes the digest into its file."""

    def given(returncode: int = 0, output: str = "", known: list[str] | None = None) -> None:
        def ask(engine: str, *arguments: str, timeout_s: float = 0) -> subprocess.CompletedProcess[str]:
            if "--digestfile" in arguments:
                Path(arguments[arguments.index("--digestfile") + 1]).write_text(DIGEST)
            return subprocess.CompletedProcess([engine], returncode, "", output)

        monkeypatch.setattr(module, "ask", ask)
        monkeypatch.setattr(module, "inspect", lambda _engine, _image: {"RepoDigests": known or []})

    return given


@pytest.mark.parametrize("name", ["passerelle/classification", "classification"])
def test_a_name_without_a_registry_is_refused_before_the_build(name: str) -> None:
    with pytest.raises(UsageError, match="names no registry"):
        registry_of(ImageRef(name, "7"))


def test_dockers_digest_is_that_of_this_registry(answering: Answering) -> None:
    answering(known=[f"mirror.example.org/team/classification@sha256:{'1' * 64}", f"{IMAGE.repository}@{DIGEST}"])
    assert push("docker", IMAGE) == f"{IMAGE.repository}@{DIGEST}"


@pytest.mark.parametrize("engine", ["podman", "buildah"])
def test_the_others_write_it_to_a_file(answering: Answering, engine: str) -> None:
    answering()
    assert push(engine, IMAGE) == f"{IMAGE.repository}@{DIGEST}"


@pytest.mark.parametrize("output", ["unauthorized: authentication required", "denied: requested access to the resource is denied"])
def test_a_refusal_leads_to_the_login(answering: Answering, output: str) -> None:
    answering(1, output)
    with pytest.raises(OutsideError, match="does not let this user push") as found:
        push("docker", IMAGE)
    assert found.value.hint == "docker login registry.example.org"


def test_another_failure_and_a_missing_digest_are_told(answering: Answering) -> None:
    answering(1, "dial tcp: connection refused")
    with pytest.raises(OutsideError, match=r"pushing registry.example.org/team/classification:7 failed:\n.*connection refused"):
        push("docker", IMAGE)
    answering(known=[])
    with pytest.raises(OutsideError, match="does not know its digest"):
        push("docker", IMAGE)
