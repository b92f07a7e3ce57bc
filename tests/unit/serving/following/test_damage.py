"""What is damaged on the service's own side: a file that was downloaded before, the log, the thread."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from passerelle.follow_settings import FollowSettings
from passerelle.names import ARTIFACT_DIGEST, LINEAGE_FILE
from passerelle.serving.following import follower as followers
from passerelle.serving.following.failures import VersionRefusedError
from passerelle.serving.following.follower import Follower
from passerelle.serving.following.mlflow_rest import AliasedVersion
from passerelle.serving.following.published import Board, FollowState
from passerelle.serving.following.target import Target
from passerelle.serving.following.worker import FollowingWorker

TARGET = Target("classification", "production")


def settings(folder: Path) -> FollowSettings:
    given = {"follow": "production", "follow_ledger": "off", "follow_tracking_uri": "http://127.0.0.1:1", "follow_start_s": 5.0}
    return FollowSettings.read({}, follow_dir=folder, **given)


@dataclass
class Downloads:
    """A registry whose alias points to one version, and the downloads of it."""

    folders: list[Path] = field(default_factory=list)

    def aliased(self, registered_model: str, _: str) -> AliasedVersion:
        return AliasedVersion(registered_model, 1, "a" * 32, 0, {ARTIFACT_DIGEST: "sha256:" + "b" * 64})

    def download(self, _: AliasedVersion, __: str, folder: Path) -> None:
        folder.mkdir()
        (folder / LINEAGE_FILE).write_text("{}", encoding="utf-8")
        self.folders.append(folder)


def poll(downloads: Downloads, folder: Path, monkeypatch: pytest.MonkeyPatch, *, bad: bool = False) -> FollowState:
    """Return how a poll ends in a worker that was started just now."""

    def accept(version: Path, _: Mapping[str, object]) -> Any:
        if bad or (version / "damaged").exists():
            raise VersionRefusedError("golden", "it is damaged", "passerelle status")
        return object()

    monkeypatch.setattr(followers, "MlflowRest", lambda _: downloads)
    board = Board(folder)
    board.make()
    follower = Follower(TARGET, settings(folder), board, accept=accept, loaded={})
    monkeypatch.setattr(follower, "_download", downloads.download)
    return follower.poll()


def test_a_version_that_was_damaged_on_the_disk_is_downloaded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    downloads = Downloads()
    assert poll(downloads, tmp_path, monkeypatch).state == "in_step"
    (downloads.folders[0] / "damaged").touch()
    assert poll(downloads, tmp_path, monkeypatch).state == "in_step"
    assert len(downloads.folders) == 2
    assert poll(downloads, tmp_path, monkeypatch).state == "in_step"
    assert len(downloads.folders) == 2


def test_a_version_that_is_bad_as_downloaded_is_downloaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    downloads = Downloads()
    assert poll(downloads, tmp_path, monkeypatch, bad=True).code == "golden"
    assert len(downloads.folders) == 1


class Gauge:
    """Any of the metrics."""

    def __getattr__(self, _: str) -> Any:
        return self

    def __call__(self, *_: Any, **__: Any) -> Any:
        return self


class Service:
    model = None
    metrics = Gauge()
    task = None


def worker(folder: Path) -> FollowingWorker:
    service: Any = Service()
    return FollowingWorker(TARGET, settings(folder), service)


def test_a_log_that_cannot_be_written_ends_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

    made = worker(tmp_path)
    made._lock = 0
    monkeypatch.setattr(sys, "stderr", Full())
    made._report(FollowState("not_reached", None, "disk", "the disk is full", "df -h"))
    assert made.state.code == "disk"


def test_an_error_that_nobody_thought_of_is_reported_and_ends_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, steps = worker(tmp_path), iter([ValueError("unexpected"), SystemExit()])

    def step() -> None:
        raise next(steps)

    monkeypatch.setattr(made, "_step", step)
    made.start()
    deadline = time.monotonic() + 10
    while made.state.code != "internal" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (made.state.state, made.state.code, made.state.message) == ("not_reached", "internal", "following failed: ValueError")
