"""Buildah builds an image, replays the golden inputs and pushes it by digest to a real registry, while Docker's daemon is down."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from passerelle.bentos.engine import inspect, newest_image, pushed_as
from passerelle.bentos.image_options import BASE, ImageOptions
from passerelle.bentos.push import push
from passerelle.errors import IntegrityError, OutsideError
from passerelle.model.golden import Golden, read_golden
from passerelle.names import BENTO_TAG_LABEL, ImageRef
from passerelle.rollout.container import smoke
from passerelle.stages import containerize
from passerelle.stages.containerize import Containerized
from passerelle.stages.context import context_of
from tests.engine_fixtures import TAG, write_bento

pytestmark = [pytest.mark.integration, pytest.mark.engine]


@pytest.fixture(scope="module")
def environment() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, environment: pytest.MonkeyPatch) -> Iterator[str]:
    """A registry on this machine that Buildah reaches without TLS, and a Docker whose daemon does not answer."""
    crane = shutil.which("crane") or pytest.skip("crane, whose registry the image is pushed to, is not installed")
    if shutil.which("buildah") is None or inspect("buildah", BASE) is None:
        pytest.skip(f"buildah is not installed, or does not hold {BASE}")
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    for engine in ("docker", "podman"):
        stopped = folder / engine
        stopped.write_text("#!/bin/sh\necho 'Cannot connect to the daemon' >&2\nexit 1\n")
        stopped.chmod(0o755)
    (folder / "registries.conf").write_text(f'[[registry]]\nlocation = "{host}"\ninsecure = true\n')
    environment.setenv("CONTAINERS_REGISTRIES_CONF", str(folder / "registries.conf"))
    environment.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    with subprocess.Popen([crane, "registry", "serve", "--address", host], stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with suppress(requests.RequestException):
                if requests.get(f"http://{host}/v2/", timeout=2).ok:
                    break
            time.sleep(0.05)
        yield host
        process.terminate()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, environment: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("without-daemon") / "bentoml"
    write_bento(folder)
    environment.setenv("BENTOML_HOME", str(folder))
    return folder


@pytest.fixture(scope="module")
def golden(home: Path) -> Golden:
    return read_golden(home / "models" / TAG.name / TAG.version / "golden.json")


@pytest.fixture(scope="module")
def image(registry: str, home: Path) -> Iterator[Containerized]:
    """The image, built, tried and pushed by one call, as `make image` does."""
    name = f"{registry}/team/classification:{home.parent.name}"
    yield containerize.run(context_of(os.environ), str(TAG), ImageOptions(image_name=name), push=True)
    subprocess.run(["buildah", "rmi", "--force", name], capture_output=True, check=False, timeout=120)


@pytest.mark.timeout(600)
def test_an_image_is_built_tried_and_pushed_by_digest(image: Containerized, registry: str, golden: Golden) -> None:
    assert (image.built.engine, image.built.created) == ("buildah", True)
    assert image.ran is not None
    assert (image.ran.smoke.inputs, image.ran.exit_code) == (len(golden.inputs), 0)
    repository, _, digest = (image.pushed or "").partition("@")
    assert repository == f"{registry}/team/classification"
    answer = requests.get(
        f"http://{registry}/v2/team/classification/manifests/{digest}",
        headers={"Accept": "application/vnd.docker.distribution.manifest.v2+json"},
        timeout=10,
    )
    assert answer.json()["config"]["digest"] == image.built.image.digest
    found = newest_image(BENTO_TAG_LABEL, [str(TAG)])
    assert found is not None
    assert found[0].endswith(f"/team/classification:{image.built.image.image_tag}")
    listed = subprocess.run(["buildah", "containers", "--quiet"], capture_output=True, text=True, check=True, timeout=60).stdout.split()
    assert listed == [], "the containers of the build and of the trial are removed"


def test_a_second_time_builds_nothing_and_pushes_the_same_digest(image: Containerized) -> None:
    again = containerize.run(context_of(os.environ), str(TAG), ImageOptions(image_name=str(image.built.image)), push=True)
    assert not again.built.created
    assert again.pushed == image.pushed
    assert pushed_as(str(image.built.image)) is None, "Buildah's own digest of it is not the registry's"


def test_the_trial_needs_no_namespaces_and_fails_as_it_should(
    image: Containerized, golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUILDAH_ISOLATION", "chroot")
    name = str(image.built.image)
    with pytest.raises(IntegrityError):
        smoke("buildah", name, golden, expected_version="8", environment={})
    with pytest.raises(OutsideError, match=r"ended by itself:\n(.*\n)*.*PASSERELLE_MAX_TEXT_CHARACTERS"):
        smoke("buildah", name, golden, expected_version="7", environment={"PASSERELLE_MAX_TEXT_CHARACTERS": "many"})


def test_a_registry_that_does_not_answer_is_named(image: Containerized) -> None:
    subprocess.run(["buildah", "tag", str(image.built.image), "127.0.0.1:1/team/classification:1"], check=True, timeout=60)
    try:
        with pytest.raises(OutsideError, match=r"pushing 127\.0\.0\.1:1/team/classification:1 failed"):
            push("buildah", ImageRef("127.0.0.1:1/team/classification", "1"))
    finally:
        subprocess.run(["buildah", "rmi", "127.0.0.1:1/team/classification:1"], capture_output=True, check=False, timeout=60)
