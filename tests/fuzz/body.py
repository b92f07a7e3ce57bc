"""Any bytes as the body of a request, in any pieces: an answer or the error envelope, at a bounded cost."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.unit.serving.hostile_bodies import JSON_TYPE, messages
from tests.unit.serving.models import text_bento_model
from tests.unit.serving.test_body_fuzz import PATHS, held_as_json, service

#: Processor time of one request; the largest body takes a hundredth of it.
MOST_SECONDS = 1.0
_STACK = ExitStack()
_SERVICE = _STACK.enter_context(service(text_bento_model(Path(_STACK.enter_context(tempfile.TemporaryDirectory())) / "model")))


def one_input(data: bytes) -> None:
    """Send a body; its first two bytes say where to, and how it is cut."""
    path, cut, body = PATHS[data[0] % 2 if data else 0], data[1] if len(data) > 1 else 0, data[2:]
    cuts = [] if cut < 128 else [len(body) * (cut - 127) // 129, cut]
    began = time.thread_time()
    answer = _SERVICE.send(path, messages(body, cuts), [JSON_TYPE])
    seconds = time.thread_time() - began
    held_as_json(answer, body, path)
    assert seconds < MOST_SECONDS, f"{seconds:.2f} s"
