"""In place of an environment's interpreter: one process imports its libraries once, and forks for each model that is read.

`python tests/forking_python.py SOCKET MODULE...` is that process, run by the environment's own Python, without passerelle.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STARTED_S = 120.0
#: What is started as the interpreter: it hands its streams and its arguments over, and waits until the model's process has ended.
_CLIENT = """#!{python} -IS
import json, os, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect({address!r})
message = {{"arguments": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}}
socket.send_fds(connection, [json.dumps(message).encode()], [0, 1, 2])
connection.recv(1)
"""


@contextmanager
def forking_python(python: Path, folder: Path, *modules: str) -> Iterator[Path]:
    """Yield the path of a program that takes the arguments of this interpreter, and whose modules are imported already.

    Args:
        folder: Empty; its path is short, as that of a socket must be.
    """
    address, client = str(folder / "s"), folder / "python"
    client.write_text(_CLIENT.format(python=sys.executable, address=address))
    client.chmod(0o755)
    command = [str(python), "-I", "-B", __file__, address, *modules]
    environment = {"PATH": os.defpath, "HOME": str(folder), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
    try:
        deadline = time.monotonic() + _STARTED_S
        while not Path(address).exists():
            assert process.poll() is None, process.communicate()[1].decode()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield client
    finally:
        process.kill()
        process.communicate()


def main(address: str, *modules: str) -> None:
    """Import the modules, then fork for each client."""
    for name in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{address}.new")
        server.listen(16)
        Path(f"{address}.new").rename(address)
        while True:
            connection, _ = server.accept()
            with connection:
                content, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
                if os.fork() == 0:
                    server.close()
                    _run(json.loads(content), list(streams))
                for number in streams:
                    os.close(number)


def _run(message: dict[str, object], streams: list[int]) -> None:
    """Be what the interpreter would be with these streams, arguments and variables."""
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(str(message["folder"]))
        os.environ.clear()
        os.environ.update(message["environment"])  # type: ignore[call-overload]
        arguments = [str(each) for each in message["arguments"] if not str(each).startswith("-")]  # type: ignore[attr-defined]
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")
        status = 0
    finally:
        os._exit(status)


if __name__ == "__main__":
    main(*sys.argv[1:])
