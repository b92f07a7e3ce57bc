"""The command line in a new process that has the libraries in memory: each command imports our own code, and pays for theirs no more.

Several hundred commands are run by the tests, and the imports of MLflow, pandas and scikit-learn are most of what one costs.
"""

from __future__ import annotations

import atexit
import json
import multiprocessing
import os
import runpy
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

#: What the commands import of others. BentoML is not among them: it reads the environment when it is imported.
#: What it imports itself are. skops comes first: it searches all modules that are there already for each function of NumPy and SciPy.
LIBRARIES = (
    "skops.io", "boto3", "cattrs", "click", "fsspec", "jinja2", "matplotlib.figure", "mlflow.artifacts", "mlflow.sklearn", "pandas",
    "pathspec", "pyarrow.parquet", "pydantic_settings", "requests", "rich.console", "scipy.stats", "simple_di", "sklearn.ensemble",
    "sklearn.linear_model", "sklearn.model_selection", "sklearn.svm", "statsmodels.api",
)  # fmt: skip

#: What a shell runs in place of `passerelle`: a small Python that waits for the process that does the work, and ends as it does.
_FRONT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    server.sendall(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd(), os.getpid()]).encode())
    server.shutdown(socket.SHUT_WR)
    sys.exit(int(server.recv(16)))
"""


def run_command(
    arguments: Sequence[str], *, environment: Mapping[str, str], cwd: Path, timeout_s: float = 280.0
) -> subprocess.CompletedProcess[str]:
    """Run `passerelle` with these arguments, in this environment and folder alone.

    Raises:
        subprocess.TimeoutExpired: It did not end in time, and was killed.
    """
    with TemporaryDirectory() as temporary:
        output = Path(temporary)
        process = _started(arguments, environment, cwd, {1: output / "stdout", 2: output / "stderr"})
        process.join(timeout_s)
        command = ["passerelle", *arguments]
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(command, timeout_s, (output / "stdout").read_bytes(), (output / "stderr").read_bytes())
        return subprocess.CompletedProcess(command, process.exitcode, (output / "stdout").read_text(), (output / "stderr").read_text())


@contextmanager
def command_for_shells() -> Iterator[Path]:
    """Yield a folder for the front of a shell's PATH, whose `passerelle` runs in such a process, in the shell's environment and folder."""
    with TemporaryDirectory() as temporary, socket.socket(socket.AF_UNIX) as listener:
        folder = Path(temporary)
        listener.bind(str(folder / "socket"))
        listener.listen()
        command = folder / "passerelle"
        command.write_text(_FRONT.format(python=sys.executable, address=str(folder / "socket")))
        command.chmod(0o755)
        answers = Thread(target=_answer_shells, args=(listener,), daemon=True)
        answers.start()
        try:
            yield folder
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            answers.join()


def _answer_shells(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, connection.makefile("rb") as request:
            arguments, environment, folder, pid = json.loads(request.read())
            process = _started(arguments, environment, Path(folder), {number: Path(f"/proc/{pid}/fd/{number}") for number in (1, 2)})
            process.join()
            # A shell that was ended meanwhile does not wait for the answer.
            with suppress(BrokenPipeError):
                connection.sendall(str(process.exitcode).encode())


def _started(arguments: Sequence[str], environment: Mapping[str, str], cwd: Path, streams: Mapping[int, Path]) -> ForkServerProcess:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(LIBRARIES))
    process = context.Process(target=_command, args=(list(arguments), dict(environment), cwd, dict(streams)))
    process.start()
    return process


def _command(arguments: list[str], environment: dict[str, str], cwd: Path, streams: dict[int, Path]) -> None:
    """Become the command: its streams, its environment, its folder, its exit code."""
    for number, path in streams.items():
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = ["passerelle", *arguments]
    try:
        runpy.run_module("passerelle", run_name="__main__", alter_sys=True)
    finally:
        # A process of multiprocessing leaves without these.
        atexit._run_exitfuncs()
