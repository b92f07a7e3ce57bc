"""A child process: started with its log in a file, checked by its health address, and stopped in order."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from passerelle.errors import OutsideError, shell_word

_PR_SET_PDEATHSIG = 1
_TAIL_LINES = 15
_LARGEST_LOG_BYTES = 10 * 2**20


def end_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """Return what a new process calls so that it gets the signal when its parent is gone, even by SIGKILL (Linux only)."""
    if sys.platform != "linux":
        return None
    # Looked up before the fork: after it, a lock of another thread stays locked.
    prctl, parent = ctypes.CDLL(None, use_errno=True).prctl, os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:
            os._exit(1)

    return ask


@dataclass
class Child:
    """One server that this process started.

    Attributes:
        name: What people call it, in messages.
        command: Argument list.
        environment: The whole environment of the child.
        log_path: Where its stdout and stderr go.
        health_url: Answers 200 when the server is up.
        grace_s: Time to end by itself after SIGTERM, in seconds.
        death_signal: What it gets when this process is killed; SIGTERM for one that has children of its own to end.
        leaves: Files that it leaves behind and that are removed when it has ended.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log_path: Path
    health_url: str
    cwd: Path | None = None
    grace_s: float = 15.0
    death_signal: signal.Signals = signal.SIGTERM
    leaves: Sequence[Path] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _family: set[psutil.Process] = field(default_factory=set, init=False)
    _log_begin: int = field(default=0, init=False)

    def start(self, *, detached: bool = False) -> None:
        """Start the process in a group of its own, so that the terminal's Ctrl-C reaches the parent alone.

        Args:
            detached: Let the child outlive this process.
        """
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        if self.log_path.exists() and self.log_path.stat().st_size > _LARGEST_LOG_BYTES:
            self.log_path.replace(self.log_path.with_suffix(".former.log"))
        with self.log_path.open("ab") as log:
            self._log_begin = log.tell()
            try:
                self.process = subprocess.Popen(
                    list(self.command),
                    env=dict(self.environment),
                    cwd=self.cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=None if detached else end_with_parent(self.death_signal),  # noqa: PLW1509 - it makes one system call
                )
            except OSError as error:
                raise OutsideError(f"{self.name} cannot be started: {error}", hint="make demo") from error

    @property
    def pid(self) -> int:
        """The process id."""
        if self.process is None:
            raise OutsideError(f"{self.name} was not started")
        return self.process.pid

    def alive(self) -> bool:
        """Return whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def wait_until_healthy(self, timeout_s: float, *, also: Callable[[], None] = lambda: None) -> None:
        """Wait until the health address answers 200.

        Args:
            timeout_s: Longest wait, in seconds.
            also: Called between two looks; may raise to give up.

        Raises:
            OutsideError: The process ended, or did not answer in time; holds the end of its log.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if not self.alive():
                code = None if self.process is None else self.process.returncode
                raise OutsideError(
                    f"{self.name} ended with {code} while it started:\n{self.log_tail()}", hint=f"cat {shell_word(self.log_path)}"
                )
            if answers(self.health_url):
                self.family()
                return
            also()
            time.sleep(0.05)
        raise OutsideError(
            f"{self.name} did not answer within {timeout_s:.0f} s:\n{self.log_tail()}", hint=f"cat {shell_word(self.log_path)}"
        )

    def family(self) -> set[psutil.Process]:
        """Return the process and its descendants, those that it had at an earlier call too.

        They are kept in mind because a worker in a process group of its own outlives a leader that was killed.
        """
        try:
            leader = psutil.Process(self.pid)
            self._family |= {leader, *leader.children(recursive=True)}
        except psutil.NoSuchProcess:
            pass
        return self._family

    def log_tail(self) -> str:
        """Return the last lines that this process logged, without those about its health, which is asked for many times a second."""
        try:
            with self.log_path.open("rb") as log:
                log.seek(self._log_begin)
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return "(no log)"
        health = urlsplit(self.health_url).path
        kept = [line for line in lines if health in ("", "/") or health not in line]
        return "\n".join(f"    {line}" for line in kept[-_TAIL_LINES:]) or "    (it logged nothing)"

    def stop(self) -> None:
        """End the process and its descendants: SIGTERM, then SIGKILL for what is left after the grace time."""
        if self.process is None:
            return
        family = self.family()
        end_group(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(self.grace_s)
        except subprocess.TimeoutExpired:
            pass
        finally:
            end_group(self.process.pid, signal.SIGKILL)
            kill_all(family)
            self.process.wait(5)
            for path in self.leaves:
                path.unlink(missing_ok=True)


def kill_all(processes: Iterable[psutil.Process]) -> None:
    """Kill those of the processes that still run; a process id that is used again by another process is left alone."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


def end_group(pid: int, number: signal.Signals) -> None:
    """Send the signal to the process group that `pid` leads, if there still is one."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def answers(url: str) -> bool:
    """Return whether the address answers 200 within a second; it is on loopback, so no proxy of the environment is asked."""
    import requests  # noqa: PLC0415 - slow, and a command that only reads what runs asks nothing

    with requests.Session() as session:
        session.trust_env = False
        try:
            return session.get(url, timeout=1, allow_redirects=False).status_code == HTTPStatus.OK
        except requests.RequestException:
            return False
