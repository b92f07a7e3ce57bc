"""The embedded platform: an S3 server and an MLflow server that start and stop together."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from filelock import FileLock, Timeout

from passerelle.errors import BusyError, OutsideError, shell_word
from passerelle.platform import state
from passerelle.platform.child import Child
from passerelle.platform.kept_ports import kept_ports
from passerelle.platform.mlflow_server import mlflow_server, s3_environment
from passerelle.platform.seaweed import LOG_BUCKET, make_bucket, s3_server
from passerelle.platform.state import ProcessMark, RunningPlatform, platform_folder
from passerelle.proxy_variables import loopback_direct

_START_TIMEOUT_S = 90.0
_ATTEMPTS = 3
#: In the platform's folder: the ports of the start before.
_PORTS = "ports.json"


class EmbeddedPlatform:
    """Starts both servers on entry, and ends them on exit whatever happened in between.

    Args:
        state_dir: Folder of the state; a later start finds the data of an earlier one.
        progress: Called with a line for what takes time.
    """

    def __init__(self, state_dir: Path, progress: Callable[[str], None] = lambda _: None) -> None:
        self._state_dir = state_dir
        self._progress = progress
        self._folder = platform_folder(state_dir)
        self._children: dict[str, Child] = {}
        self._lock: FileLock | None = None
        self.running: RunningPlatform

    def __enter__(self) -> Self:
        self._acquire()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _acquire(self) -> None:
        # The kernel releases the lock with its process, so it cannot be stale.
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._folder / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            pid = state.owner(self._state_dir)
            who = f"process {pid}" if pid else "another process"
            raise BusyError(f"the embedded platform in {self._state_dir} is run by {who}", hint='eval "$(passerelle env)"') from None
        self._lock = lock
        state.sweep(self._state_dir)

    def _start(self) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._start_once()
            except OutsideError as error:
                # Another process may take a free port before the server binds it; then new ones are chosen.
                if attempt == _ATTEMPTS or "address already in use" not in error.message.lower():
                    raise
                self._end_children()
                (self._folder / _PORTS).unlink(missing_ok=True)

    def _start_once(self) -> None:
        began = time.monotonic()
        logs = self._folder / "logs"
        ports = kept_ports(self._folder / _PORTS, ("MLflow", "S3"), self._progress)
        s3_child, s3 = s3_server(self._folder, logs, ports["S3"], not_these=ports.values())
        mlflow_child, tracking_uri = mlflow_server(self._folder, logs, s3, ports["MLflow"])
        self._children = {"s3": s3_child, "mlflow": mlflow_child}
        self._progress("starting the S3 server and the MLflow server")
        for child in self._children.values():
            child.start()
        environment = {
            "MLFLOW_TRACKING_URI": tracking_uri,
            **state.own_environment(self._state_dir),
            **s3_environment(s3),
            **loopback_direct(),
            "PASSERELLE_LOG_BUCKET": LOG_BUCKET,
        }
        Path(environment["BENTOML_HOME"]).mkdir(parents=True, exist_ok=True)
        self.running = RunningPlatform(tracking_uri, s3, environment, ProcessMark.of(os.getpid()))
        # Written before they answer, so that after a crash the next start knows which processes to end.
        state.write_state(self._state_dir, self.running, self.pids, ready=False)
        s3_child.wait_until_healthy(_START_TIMEOUT_S, also=self.raise_if_one_ended)
        make_bucket(s3)
        mlflow_child.wait_until_healthy(_START_TIMEOUT_S, also=self.raise_if_one_ended)
        state.write_state(self._state_dir, self.running, self.pids, ready=True)
        self._progress(f"MLflow on {tracking_uri}, S3 on {s3.endpoint_url} ({time.monotonic() - began:.1f} s)")

    @property
    def pids(self) -> dict[str, int]:
        """The process id of each server."""
        return {name: child.pid for name, child in self._children.items()}

    def raise_if_one_ended(self) -> None:
        """Raise when a server ended by itself.

        Raises:
            OutsideError: Names the server and holds the end of its log.
        """
        for child in self._children.values():
            if not child.alive():
                raise OutsideError(f"{child.name} ended by itself:\n{child.log_tail()}", hint=f"cat {shell_word(child.log_path)}")

    def wait(self, extra: Sequence[Child] = (), *, replaced: Callable[[Child], bool] = lambda _: False) -> None:
        """Return at Ctrl-C or SIGTERM.

        Args:
            extra: Further children whose end ends all.
            replaced: Whether a further child that has ended was ended on purpose, and is no longer waited for.

        Raises:
            OutsideError: A server, or an extra child, ended by itself.
        """
        with stopped_by_signal() as stop:
            children = list(extra)
            while not stop.wait(0.25):
                self.raise_if_one_ended()
                for child in [each for each in children if not each.alive()]:
                    children.remove(child)
                    if not replaced(child):
                        raise OutsideError(f"{child.name} ended by itself:\n{child.log_tail()}", hint=f"cat {shell_word(child.log_path)}")

    def stop(self) -> None:
        """End both servers, MLflow first, and forget the state."""
        try:
            self._end_children()
            state.remove_state(self._state_dir)
        finally:
            if self._lock is not None:
                self._lock.release()
                self._lock = None

    def _end_children(self) -> None:
        with ExitStack() as stack:
            # The last one that is pushed ends first, and an interruption of its end does not spare the other.
            for name in ("s3", "mlflow"):
                if name in self._children:
                    stack.callback(self._children[name].stop)


@contextmanager
def stopped_by_signal() -> Iterator[threading.Event]:
    """Yield an event that SIGINT and SIGTERM set, and give the handlers back afterwards."""
    stop = threading.Event()

    def note(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    former = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
