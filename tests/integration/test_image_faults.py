"""What goes wrong around an image: one clear sentence each, and what was there stays."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from passerelle.bentos.containerize import containerize
from passerelle.bentos.engine import check_architecture, failed, find_engine, inspect
from passerelle.bentos.image_options import BASE, ImageOptions
from passerelle.errors import NotFoundError, OutsideError
from passerelle.names import BentoTag
from passerelle.rollout.container import smoke
from passerelle.settings import StoreSettings
from tests.engine_fixtures import TAG, BentoForTests, copied_store, removed

pytestmark = [pytest.mark.integration, pytest.mark.engine]


def test_what_cannot_be_made_is_said_in_one_sentence(bento: BentoForTests, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no bento nobody:1-a"):
        containerize(bento.settings, bento_tag=BentoTag.parse("nobody:1-a"))
    with pytest.raises(OutsideError, match=r"the base image nowhere\.invalid/python:1 cannot be pulled"):
        bento.image(name=f"{bento.repository}:base", base="nowhere.invalid/python:1")
    copied_store(bento, tmp_path / "bentoml")
    shutil.rmtree(tmp_path / "bentoml" / "models" / TAG.name / TAG.version)
    with pytest.raises(NotFoundError, match=f"the model of the bento {TAG} is gone"):
        containerize(StoreSettings.read(bentoml_home=tmp_path / "bentoml"), bento_tag=TAG)
    assert not list((tmp_path / "bentoml").glob(".passerelle-image-*"))


def test_a_package_that_is_not_the_locked_one_is_not_installed(bento: BentoForTests, tmp_path: Path) -> None:
    copied_store(bento, tmp_path / "bentoml")
    locked = tmp_path / "bentoml" / "bentos" / TAG.name / TAG.version / "src/requirements/scorer.txt"
    text = locked.read_text()
    locked.write_text(re.sub(r"sha256:[0-9a-f]{64}", "sha256:" + "0" * 64, text, count=2))
    with pytest.raises(OutsideError, match="not the one that was locked"):
        containerize(
            StoreSettings.read(bentoml_home=tmp_path / "bentoml"),
            bento_tag=TAG,
            options=ImageOptions(image_name=f"{bento.repository}:unlocked"),
        )
    assert inspect(bento.engine, f"{bento.repository}:unlocked") is None


def test_an_image_for_another_architecture_is_not_started_and_made_again_here(bento: BentoForTests, tmp_path: Path) -> None:
    name = f"{bento.repository}:foreign"
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    foreign = "arm64" if inspect(bento.engine, BASE)["Architecture"] == "amd64" else "amd64"  # type: ignore[index]
    # Of the same inputs, as if it had come from a colleague's machine.
    own = bento.image(name=name)
    labels = [part for label in own.labels.items() for part in ("--label", "=".join(label))]
    subprocess.run(
        [bento.engine, "build", "--quiet", "--platform", f"linux/{foreign}", *labels, "--tag", name, str(tmp_path)], check=True, timeout=60
    )
    with pytest.raises(OutsideError, match=f"is for {foreign}, and this machine"):
        check_architecture(bento.engine, name)
    with pytest.raises(OutsideError, match=f"is for {foreign}, and this machine"):
        smoke(bento.engine, name, bento.golden, expected_version="7", environment={})
    again = bento.image(name=name)
    assert again.created
    check_architecture(bento.engine, name)
    removed(bento.engine, name)
    with pytest.raises(NotFoundError, match="holds no image"):
        check_architecture(bento.engine, name)


def test_an_engine_that_this_user_may_not_talk_to(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0 or engine != "docker":
        pytest.skip("needs root, to become somebody who is not in the group docker")
    real = shutil.which("docker")
    (tmp_path / "docker").write_text(f'#!/bin/sh\nexec setpriv --reuid 65534 --regid 65534 --clear-groups {real} "$@"\n')
    for other in ("podman", "buildah"):
        (tmp_path / other).write_text("#!/bin/sh\nexit 1\n")
    for stub in tmp_path.iterdir():
        stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(OutsideError, match="this user may not talk to docker"):
        find_engine()


@contextmanager
def engine_on_a_small_disk(folder: Path) -> Iterator[Path]:
    """Yield the disk of a second engine, which holds the base image and has a few MiB left.

    It has a network of its own: without a bridge it would take away the one of the first.
    """
    disk, socket = folder / "disk", folder / "docker.sock"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2g", "tmpfs", str(disk)], check=True)
    places = [f"--{name}={folder / name}" for name in ("exec-root", "pidfile")]
    nothing_shared = ["--bridge=none", "--iptables=false", "--ip6tables=false", f"--data-root={disk}", f"--host=unix://{socket}"]
    log = (folder / "log").open("w")
    running = subprocess.Popen(["unshare", "--net", "dockerd", *places, *nothing_shared], stdout=log, stderr=log)
    environment = dict(os.environ) | {"DOCKER_HOST": f"unix://{socket}"}
    try:
        deadline = time.monotonic() + 60
        while subprocess.run(["docker", "info"], env=environment, capture_output=True, check=False).returncode != 0:
            assert running.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()[-2000:]
            time.sleep(0.2)
        saved = subprocess.Popen(["docker", "save", BASE], stdout=subprocess.PIPE)
        subprocess.run(["docker", "load", "--quiet"], env=environment, stdin=saved.stdout, check=True, capture_output=True, timeout=120)
        assert saved.wait(60) == 0
        used_kib = shutil.disk_usage(disk).used // 1024
        subprocess.run(["mount", "-o", f"remount,size={used_kib + 4096}k", str(disk)], check=True)
        yield disk
    finally:
        running.terminate()
        running.wait(60)
        log.close()
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("dockerd") is None, reason="a small disk and an engine on it need root and dockerd")
def test_a_disk_that_is_full_leaves_the_engine_as_it_was(bento: BentoForTests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = inspect(bento.engine, str(bento.image().image))
    copied_store(bento, tmp_path / "bentoml")
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "large.whl").write_bytes(os.urandom(20 * 2**20))
    # Not in pytest's own folder: the path of a socket is short.
    with (
        tempfile.TemporaryDirectory(prefix="engine-") as folder,
        engine_on_a_small_disk(Path(folder)) as disk,
        monkeypatch.context() as patch,
    ):
        patch.setenv("DOCKER_HOST", f"unix://{disk.parent / 'docker.sock'}")
        with pytest.raises(OutsideError, match=r"the disk of docker is full: the build of .* was not made") as told:
            containerize(
                StoreSettings.read(bentoml_home=tmp_path / "bentoml"),
                bento_tag=TAG,
                options=ImageOptions(image_name=f"{bento.repository}:full", wheels=tmp_path / "wheels"),
            )
        assert "docker system df" in str(told.value.hint)
        assert inspect(bento.engine, BASE) is not None
        assert inspect(bento.engine, f"{bento.repository}:full") is None
    assert inspect(bento.engine, str(bento.image().image)) == before


def test_a_full_disk_is_told_from_another_failure() -> None:
    assert "exit 7" in failed("docker", "exit 7", of="the build of app:1", hint="").message
