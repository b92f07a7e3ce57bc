"""An MLflow server with one registered model, as its REST interface shows it; each answer can be made wrong."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from passerelle.follow_settings import FollowSettings
from passerelle.model.bundle import write_bundle
from passerelle.model.ledger_entry import CandidateTerms, Entry, digest_of
from passerelle.model.manifest import digest_of_manifest
from passerelle.model.mlmodel import describe
from passerelle.names import (
    ARTIFACT_DIGEST,
    BUNDLE,
    GOLDEN,
    LEDGER_CANDIDATE,
    LEDGER_ENTRY,
    MANIFEST,
    MANIFEST_FILE,
    MODEL_FOLDER,
    ledger_artifact,
)

NAME, ALIAS = "test", "production"


@dataclass
class RegistryDouble:
    """What the server holds.

    Attributes:
        versions: Tags and run of each version.
        artifacts: Of runs, by run and path.
        files: Of versions, by version and path.
        params: Of runs, by run and name.
        spoil: Changes an answer before it is sent: takes path and body, returns status and body.
        asked: The paths that were asked for, in order.
    """

    address: str = ""
    alias: int | None = None
    candidate: int | None = None
    versions: dict[int, dict[str, Any]] = field(default_factory=dict)
    model_tags: dict[str, str] = field(default_factory=dict)
    artifacts: dict[tuple[str, str], bytes] = field(default_factory=dict)
    files: dict[tuple[int, str], bytes] = field(default_factory=dict)
    params: dict[str, dict[str, str]] = field(default_factory=dict)
    spoil: Callable[[str, bytes], tuple[int, bytes]] | None = None
    asked: list[str] = field(default_factory=list)
    server: ThreadingHTTPServer | None = None

    def encrypt(self, context: ssl.SSLContext) -> None:
        """Take encrypted connections alone from here on, under the name localhost."""
        assert self.server is not None
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.address = f"https://localhost:{self.server.server_port}"

    def settings(self, folder: Path, **given: Any) -> FollowSettings:
        return FollowSettings.read({}, follow=ALIAS, follow_dir=folder, follow_tracking_uri=self.address, **given)

    def register(self, version: int, folder: Path, *, bundle: bool = True) -> None:
        """Take a bento model's directory as a version, with its bundle and its files."""
        manifest = json.loads((folder / MANIFEST_FILE).read_bytes())
        run_id = json.loads((folder / "lineage.json").read_bytes())["run_id"]
        self.versions[version] = {"run_id": run_id, "tags": {ARTIFACT_DIGEST: digest_of_manifest(manifest)}}
        self.artifacts[run_id, MANIFEST] = (folder / MANIFEST_FILE).read_bytes()
        self.artifacts[run_id, GOLDEN] = (folder / GOLDEN).read_bytes()
        for path in (folder / MODEL_FOLDER).rglob("*"):
            if path.is_file():
                self.files[version, path.relative_to(folder / MODEL_FOLDER).as_posix()] = path.read_bytes()
        if bundle:
            self.artifacts[run_id, BUNDLE] = _bundle_of(folder, (folder / MANIFEST_FILE).read_bytes())

    def promote(self, version: int, number: int, **changed: Any) -> None:
        """Move the alias as the ledger's entry of this number says."""
        of = self.versions[version]
        entry = Entry(number, "", "", "", "promote", NAME, None, version, of["run_id"], of["tags"][ARTIFACT_DIGEST])
        line = Entry(**{**entry.__dict__, **changed}).line()
        self.artifacts[of["run_id"], ledger_artifact(number)] = line
        of["tags"][LEDGER_ENTRY] = self.model_tags[LEDGER_ENTRY] = f"{number} {digest_of(line)}"
        self.alias = version

    def nominate(self, version: int, number: int, terms: CandidateTerms | None, **changed: Any) -> None:
        """Make the version the candidate as the ledger's entry of this number says; without terms, end that."""
        of = self.versions[version]
        what = "candidate" if terms else "candidate-ended"
        entry = Entry(number, "", "", "", what, NAME, None, version, of["run_id"], of["tags"][ARTIFACT_DIGEST], candidate=terms)
        line = Entry(**{**entry.__dict__, **changed}).line()
        self.artifacts[of["run_id"], ledger_artifact(number)] = line
        of["tags"][LEDGER_CANDIDATE] = self.model_tags[LEDGER_CANDIDATE] = f"{number} {digest_of(line)}"
        self.candidate = version

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        if path == "/get-artifact":
            found = self.artifacts.get((query["run_id"], query["path"]))
        elif path == "/model-versions/get-artifact":
            found = self.files.get((int(query["version"]), query["path"]))
        else:
            return self._rest(path.rpartition("mlflow/")[2], query)
        return (200, found) if found is not None else (500, b"Internal Server Error: s3://bucket/key")

    def _rest(self, route: str, query: dict[str, str]) -> tuple[int, bytes]:
        if query.get("name", NAME) != NAME:
            return 404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "Registered Model not found"}'
        if route == "registered-models/alias":
            number = self.candidate if query["alias"] == "candidate" else self.alias
            if number is None:
                return 400, b'{"error_code": "INVALID_PARAMETER_VALUE", "message": "Registered model alias production not found."}'
            of = self.versions[number]
            version = {
                "name": NAME,
                "version": str(number),
                "run_id": of["run_id"],
                "tags": _pairs(of["tags"]),
                "creation_timestamp": 1,
            }
            return 200, json.dumps({"model_version": version}).encode()
        if route == "registered-models/get":
            return 200, json.dumps({"registered_model": {"name": NAME, "tags": _pairs(self.model_tags)}}).encode()
        if route == "runs/get":
            params = _pairs(self.params.get(query["run_id"], {}))
            run = {"info": {"experiment_id": "1"}, "data": {"metrics": [{"key": "macro_f1", "value": 0.5}], "params": params}}
            return 200, json.dumps({"run": run}).encode()
        return 200, b'{"experiment": {"name": "of the tests"}}'


@cache
def _bundle_of(folder: Path, manifest: bytes) -> bytes:
    """Return the bundle of a bento model's directory, which each test registers anew."""
    target = folder.parent / f"{folder.name}.tar"
    model, content = folder / MODEL_FOLDER, json.loads(manifest)
    write_bundle(target, model, golden=folder / GOLDEN, manifest=content, signature=None, description=describe(model))
    return target.read_bytes()


def _pairs(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


@contextmanager
def running() -> Iterator[RegistryDouble]:
    """Serve it on a port of loopback."""
    double = RegistryDouble()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body in one segment: else each answer waits 40 ms for the acknowledgement of its head.
        wbufsize = -1

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            double.asked.append(query.get("path") or parts.path)
            status, body = double.answer(parts.path, query)
            if double.spoil is not None and status == 200:
                status, body = double.spoil(query.get("path") or parts.path, body)
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """A client that leaves in the middle of an answer is what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    double.server = server
    double.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
