"""A command in a child process, whose progress is passed on while it runs."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from passerelle.platform.child import kill_all
from passerelle.stages.context import Progress


def run_with_progress(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], timeout_s: float, progress: Progress
) -> subprocess.CompletedProcess[str]:
    """Return what the command printed, after passing each line of its stderr on as it came.

    A command that takes longer than the timeout is ended with all processes that it started, and the last line says so.

    Args:
        folder: It runs there.
    """
    lines: list[str] = []
    with (
        tempfile.TemporaryFile("w+") as printed,
        subprocess.Popen(command, cwd=folder, env=dict(environment), stdout=printed, stderr=subprocess.PIPE, text=True) as child,
    ):

        def end() -> None:
            lines.append(f"it took longer than {timeout_s:.0f} s and was ended")
            _kill(child)

        timer = threading.Timer(timeout_s, end)
        timer.start()
        try:
            for line in child.stderr or ():
                lines.append(line.rstrip("\n"))
                if line.strip():
                    progress(line.strip())
            status = child.wait()
        except BaseException:
            _kill(child)
            raise
        finally:
            timer.cancel()
        printed.seek(0)
        return subprocess.CompletedProcess(list(command), status, printed.read(), "\n".join(lines))


def _kill(child: subprocess.Popen[str]) -> None:
    """Kill the process and its descendants: one that is left holds the pipe open, which is then read for ever."""
    try:
        leader = psutil.Process(child.pid)
        family = [leader, *leader.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    kill_all(family)
