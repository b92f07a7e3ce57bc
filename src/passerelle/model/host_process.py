"""A process that answers messages: started, asked within a time limit, and ended."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import stat
import struct
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from passerelle.errors import ModelEndedError, ModelTimeoutError
from passerelle.model.host.frames import MOST_BYTES

_START = Path(__file__).resolve().parent / "host" / "start.py"
_LENGTH = struct.Struct(">I")
_PIECE_BYTES = 1 << 20
_MOST_STDERR_BYTES = 4_096
_END_SECONDS = 5.0
#: The only variables of the process; none of the operator's reaches it.
_ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


class HostProcess:
    """The process of an adopted model.

    Args:
        python: The interpreter of the model's environment.
        settings: What start.py reads from its command line, as JSON.

    Attributes:
        stderr: The last that it wrote to standard error before it had read its model; nothing of the time when it answers.
    """

    def __init__(self, python: Path, settings: Mapping[str, object]) -> None:
        self.stderr = b""
        self._folder = Path(tempfile.mkdtemp(prefix="passerelle-model-"))
        try:
            self._process = subprocess.Popen(
                [str(python), "-I", "-B", str(_START), json.dumps({**settings, "own": str(self._folder)})],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self._folder,
                env={**_ENVIRONMENT, "HOME": str(self._folder), "TMPDIR": str(self._folder)},
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            message = f"the interpreter {python} of the adopted model cannot be started: {error.strerror}"
            raise ModelEndedError(message, hint="passerelle import") from error
        streams = (self._process.stdin, self._process.stdout, self._process.stderr)
        self._stdin, self._stdout, self._stderr = (stream.fileno() for stream in streams if stream is not None)
        os.set_blocking(self._stdin, False)
        # Not `select`, which takes no number from 1,024 on: a service with many connections has such.
        self._room = select.poll()
        self._room.register(self._stdin, select.POLLOUT)
        self._answers = select.poll()
        self._answers.register(self._stdout, select.POLLIN)
        self._answers.register(self._stderr, select.POLLIN)

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def ask(self, message: object, *, timeout_s: float) -> dict[str, Any]:
        """Return the answer to a message.

        Raises:
            ModelEndedError: The process ended.
            ModelTimeoutError: It takes longer.
        """
        deadline = time.monotonic() + timeout_s
        try:
            self._send(_json(message), deadline)
            return self._answer(deadline)
        except (BrokenPipeError, EOFError, ValueError) as error:
            raise ModelEndedError(f"the process of the model ended{self._status()}", hint="passerelle status") from error
        except TimeoutError as error:
            raise ModelTimeoutError(f"the model took longer than {timeout_s:g} s", hint="passerelle status") from error

    def file(self, name: str) -> bytes:
        """Return the content of a file that it wrote into its folder; never of what a link there points to.

        Raises:
            ValueError: There is no such file.
        """
        try:
            number = os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise ValueError(f"it left no file {name}") from error
        with os.fdopen(number, "rb") as file:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise ValueError(f"it left no file {name}")
            return file.read()

    def close(self) -> None:
        """End it, and remove its folder."""
        with contextlib.suppress(ProcessLookupError):
            # Its children are in its session.
            os.killpg(self._process.pid, 9)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=_END_SECONDS)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _status(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=_END_SECONDS)
        code = self._process.returncode
        return "" if code is None else f" by signal {-code}" if code < 0 else f" with status {code}"

    def _send(self, content: bytes, deadline: float) -> None:
        rest = memoryview(_LENGTH.pack(len(content)) + content)
        while rest:
            try:
                rest = rest[os.write(self._stdin, rest) :]
            except BlockingIOError:
                if not self._room.poll(_left(deadline) * 1_000):
                    raise TimeoutError from None

    def _answer(self, deadline: float) -> dict[str, Any]:
        content = bytearray()
        length = _LENGTH.size
        while len(content) < length:
            content += self._piece(deadline)
            if length == _LENGTH.size and len(content) >= length:
                length += _LENGTH.unpack_from(content)[0]
                if length > MOST_BYTES:
                    raise EOFError
        answer: dict[str, Any] = orjson.loads(memoryview(content)[_LENGTH.size :])
        return answer

    def _piece(self, deadline: float) -> bytes:
        """Return some bytes of the answer; meanwhile keep the end of what is written to standard error."""
        while True:
            ready = {number for number, _ in self._answers.poll(max(0.0, _left(deadline)) * 1_000)}
            if self._stdout in ready:
                piece = os.read(self._stdout, _PIECE_BYTES)
                if not piece:
                    raise EOFError
                return piece
            if self._stderr in ready:
                piece = os.read(self._stderr, _PIECE_BYTES)
                self.stderr = (self.stderr + piece)[-_MOST_STDERR_BYTES:]
                if not piece:
                    self._answers.unregister(self._stderr)
            elif not ready:
                raise TimeoutError


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _json(message: object) -> bytes:
    try:
        return orjson.dumps(message)
    except TypeError:  # a lone surrogate, or an integer of more than 64 bits
        return json.dumps(message, ensure_ascii=True, separators=(",", ":")).encode()
