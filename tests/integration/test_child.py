"""What is shown of a server that does not get ready."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from passerelle.errors import OutsideError
from passerelle.platform.child import Child
from passerelle.platform.ports import free_ports

pytestmark = pytest.mark.integration

#: Answers 503 and logs each time that it was asked, as a service does whose model was refused.
_REFUSING = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503)
        self.end_headers()

print("the model is refused: it is not the one that was registered", file=sys.stderr, flush=True)
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def test_the_reason_is_not_hidden_by_the_questions_whether_it_is_ready(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    command = [sys.executable, "-c", _REFUSING, str(port)]
    child = Child("the service", command, dict(os.environ), tmp_path / "log", f"http://127.0.0.1:{port}/readyz")
    child.start()
    try:
        with pytest.raises(OutsideError, match="the model is refused") as shown:
            child.wait_until_healthy(4.0)
    finally:
        child.stop()
    assert (tmp_path / "log").read_text().count("/readyz") > 15
    assert "/readyz" not in str(shown.value)
