"""A service of two workers that follows a registered model through a proxy, under traffic."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from passerelle.names import ModelVersionRef
from passerelle.platform.child import Child
from passerelle.platform.embedded import EmbeddedPlatform
from passerelle.registry.client import Registry
from passerelle.serving.following.poll_request import request_poll
from passerelle.serving.following.published import Board
from passerelle.serving.following.target import Target
from passerelle.settings import MlflowSettings, SigningSettings, StoreSettings
from passerelle.stages.import_model import import_model
from tests.follow.load import Load
from tests.follow.proxy import Fault, Proxy, Slow, proxied
from tests.follow.versions import MOST_BYTES, Versions
from tests.platform_fixtures import OURS
from tests.service_fixtures import ServedModel, serve
from tests.signing_fixtures import make_keys

#: Longest wait for anything that is expected to happen.
LIMIT_S = 60.0
#: The most processor time of a prediction by the service under test.
MOST_CPU_MS = 25
WEBHOOK_SECRET = "the secret of the tests' own webhook"
_LOOKS = 6
_LEAST_WORKER_BYTES, _SMALL_DISK_BYTES = 30 * 2**20, 192 * 2**20


@dataclass
class Replica:
    """A running service and what it keeps on its disk."""

    service: ServedModel
    folder: Path

    @property
    def board(self) -> Board:
        """What its leader tells its workers."""
        return Board(self.folder)

    def following(self) -> Mapping[str, Any]:
        """Return what one of its workers says in /readyz of following."""
        found = requests.get(f"{self.service.address}/readyz", timeout=30).json()["following"]
        assert isinstance(found, dict)
        return found

    def answers_with(self, version: int) -> bool:
        """Return whether each of several new connections is answered by this version; the workers share the port."""
        for _ in range(_LOOKS):
            body = requests.post(f"{self.service.address}/classify", json={"text": "merci beaucoup"}, timeout=30).json()
            if body["model_version"] != str(version):
                return False
        return True

    def workers(self) -> list[psutil.Process]:
        """Return the processes that answer."""
        processes = psutil.Process(self.service.child.pid).children(recursive=True)
        return [
            each
            for each in processes
            if all(map(_writes_log, each.children())) and not _writes_log(each) and each.memory_info().rss > _LEAST_WORKER_BYTES
        ]

    def leader(self) -> psutil.Process:
        """Return the worker that polls: the one that holds the lock."""
        inode = (self.folder / "leader.lock").stat().st_ino
        for line in Path("/proc/locks").read_text(encoding="utf-8").splitlines():
            parts = line.split()
            if "FLOCK" in parts and parts[5].endswith(f":{inode}"):
                return psutil.Process(int(parts[4]))
        raise AssertionError("no worker polls")


def _writes_log(process: psutil.Process) -> bool:
    """Return whether it is a worker's process that writes the prediction log."""
    return any("line_writer" in part for part in process.cmdline())


@dataclass
class Followed:
    """The service, what it follows, and the traffic on it.

    Attributes:
        wanted: The version that it is to answer with.
        hurries: Whether it is asked to poll at once after a fault, where it would wait for up to half a minute.
        mended: When the fault was taken away, on the monotonic clock; None while it is there.
        small_disk: Whether what it downloads lies on a file system of its own, which may be filled.
    """

    platform: EmbeddedPlatform
    proxy: Proxy
    versions: Versions
    replica: Replica
    load: Load
    store: Path
    options: Mapping[str, str]
    folder: Path
    wanted: ModelVersionRef
    others: dict[int, ModelVersionRef] = field(default_factory=dict)
    hurries: bool = True
    mended: float | None = None
    small_disk: bool = False

    def s3(self) -> Child:
        """The S3 server's process."""
        return self.platform._children["s3"]

    def turn(self, turn: int) -> ModelVersionRef:
        """Return a good version that was registered before, one for each of a few turns."""
        if turn not in self.others:
            self.others[turn] = self.versions.good(turn)
        return self.others[turn]

    def other(self) -> ModelVersionRef:
        """Return a good version that is not the wanted one."""
        return next(ref for ref in self.others.values() if ref != self.wanted)

    def promote(self, ref: ModelVersionRef) -> ModelVersionRef:
        """Put the version into production; from here on it is wanted."""
        self.versions.promote(ref)
        self.wanted = ref
        return ref

    @contextmanager
    def fails(self, fault: Fault) -> Iterator[None]:
        """Let the proxy fail until the end."""
        self.proxy.fault = fault
        try:
            yield
        finally:
            self.proxy.fault = None
            if isinstance(fault, Slow):
                fault.mended.set()
            self.mended = time.monotonic()

    def forget(self, ref: ModelVersionRef) -> None:
        """Remove what the service downloaded of a version, so that it must be downloaded again."""
        for path in self.replica.board.versions.glob(f"{ref.version}-*"):
            path.rename(self.replica.folder / f"forgotten-{uuid.uuid4().hex}")

    def until_code(self, code: str) -> None:
        """Wait until the service says why it does not follow."""
        until(lambda: self.replica.board.state().code == code, f"code {code!r}", self.replica.board.state)
        until(lambda: self.replica.following()["code"] == code, f"code {code!r} in /readyz", self.replica.following)

    def until_in_step(self) -> float:
        """Wait until the wanted version answers; returns the seconds since the fault was taken away."""
        ref, since = self.wanted, self.mended or time.monotonic()

        def in_step() -> bool:
            if self.hurries:
                request_poll(self.replica.folder)
            state, published = self.replica.board.state(), self.replica.board.published()
            there = (
                (state.state, state.alias_version) == ("in_step", ref.version) and published is not None and published.run_id == ref.run_id
            )
            return there and self.replica.answers_with(ref.version)

        until(in_step, f"version {ref.version} from all workers", self.replica.board.state)
        return time.monotonic() - since


def until(holds: Callable[[], bool], what: str, seen: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    """Wait until it holds; fails with what was seen instead."""
    deadline = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not come; last seen: {seen()}"
        time.sleep(0.05)


@contextmanager
def replica(folder: Path, store: Path, options: Mapping[str, str], workers: int = 2, module: str = "service") -> Iterator[Replica]:
    """Serve the store's model, following into a folder of its own."""
    name, tag, uri = options["name"], options["tag"], options["uri"]
    settings = {"follow": f"{name}@production", "follow_tracking_uri": uri, "follow_dir": str(folder), "workers": str(workers)}
    settings |= {key: value for key, value in options.items() if key not in ("name", "tag", "uri")}
    with serve(
        store,
        options=("--arg", f"model={tag}"),
        module=module,
        **settings,
    ) as running:
        yield Replica(running, Target(name, "production").folder(folder))


@contextmanager
def mounted(folder: Path) -> Iterator[bool]:
    """Mount a small file system at the folder as long as the body runs; returns whether this user may."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_SMALL_DISK_BYTES}", "tmpfs", str(folder)]
    done = shutil.which("mount") is not None and subprocess.run(mount, check=False, capture_output=True).returncode == 0
    try:
        yield done
    finally:
        if done:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _settings(folder: Path) -> dict[str, str]:
    """Return what the service is told beside what it follows."""
    secret = folder / "webhook.secret"
    secret.write_text(WEBHOOK_SECRET, encoding="utf-8")
    secret.chmod(0o600)
    return {
        "follow_keep_s": "0",
        "follow_candidate": "on",
        "follow_webhook_secret_file": str(secret),
        "follow_max_bytes": str(MOST_BYTES),
        "follow_most_cpu_ms": str(MOST_CPU_MS),
    }


@contextmanager
def _platform(folder: Path, *, webhook: bool) -> Iterator[EmbeddedPlatform]:
    """Run the embedded platform, with its variables and no others of ours in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(OURS)]:
            patch.delenv(name)
        patch.setenv("PASSERELLE_FOLLOW_WEBHOOK", "on" if webhook else "off")
        with EmbeddedPlatform(folder) as platform:
            for name, value in platform.running.environment.items():
                patch.setenv(name, value)
            yield platform


@contextmanager
def followed(
    folder: Path, *, interval_s: float = 0.3, turns: int = 3, of_demo: bool = False, webhook: bool = False, **options: str
) -> Iterator[Followed]:
    """Start the platform, a few versions, the service and the traffic, for as long as the body runs.

    Args:
        turns: How many good versions there are.
        of_demo: Whether they are as large as those of the demo.
        webhook: Whether MLflow may call the service.
    """
    with ExitStack() as stack:
        platform = stack.enter_context(_platform(folder / "platform", webhook=webhook))
        registered_model = f"followed-{uuid.uuid4().hex[:6]}"
        named = {"experiment": registered_model, "registered_model": registered_model, "tracking_uri": platform.running.tracking_uri}
        keys = make_keys(folder, "ours")
        signing = SigningSettings.read(signing_key=keys.private)
        versions = Versions(Registry(MlflowSettings.read(**named), platform.running.s3), signing, folder, of_demo)
        first = versions.good(0)
        versions.promote(first)
        store = folder / "bentoml"
        imported = import_model(versions.registry, StoreSettings.read(bentoml_home=store), signing=signing)
        proxy = stack.enter_context(proxied(platform.running.tracking_uri))
        given = {
            "name": registered_model,
            "tag": str(imported.bento_model_tag),
            "uri": proxy.address,
            "verify_key": str(keys.public),
            "follow_interval_s": str(interval_s),
            **_settings(folder),
            **options,
        }
        small_disk = stack.enter_context(mounted(folder / "follow"))
        running = stack.enter_context(replica(folder / "follow", store, given))
        load = Load(versions.answers_file, folder / "load.txt", [running.service.address])
        stack.callback(load.stop)
        made = Followed(platform, proxy, versions, running, load, store, given, folder, first, {0: first}, small_disk=small_disk)
        for turn in range(1, turns):
            made.turn(turn)
        made.until_in_step()
        yield made
