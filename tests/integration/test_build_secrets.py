"""An image whose packages come from an organisation's own index: the index is asked with the password, and no layer holds it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from passerelle.bentos import context
from passerelle.bentos.build_secrets import PIP_CONF
from passerelle.bentos.containerize import containerize
from passerelle.bentos.engine import inspect
from passerelle.bentos.image_options import ImageOptions
from passerelle.errors import OutsideError
from passerelle.settings import StoreSettings
from tests.engine_fixtures import TAG, BentoForTests, copied_store, removed

pytestmark = [pytest.mark.integration, pytest.mark.engine]
PASSWORD = "planted-3f9c1b"
WHEEL = "ours_alone-1.0-py3-none-any.whl"


def wheel() -> bytes:
    """Return a wheel that no public index has, the same bytes at each call."""
    data, about = io.BytesIO(), "ours_alone-1.0.dist-info"
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(zipfile.ZipInfo("ours_alone.py"), "")
        archive.writestr(zipfile.ZipInfo(f"{about}/METADATA"), "Metadata-Version: 2.1\nName: ours-alone\nVersion: 1.0\n")
        archive.writestr(
            zipfile.ZipInfo(f"{about}/WHEEL"), "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        names = ("ours_alone.py", f"{about}/METADATA", f"{about}/WHEEL", f"{about}/RECORD")
        archive.writestr(zipfile.ZipInfo(names[-1]), "".join(f"{name},,\n" for name in names))
    return data.getvalue()


@contextmanager
def index(host: str, content: bytes, *, page: str = "") -> Iterator[tuple[str, list[str]]]:
    """Yield the address of an index with one wheel, for the user who knows the password; or of one that answers everything by a page."""
    users: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given = self.headers.get("Authorization", "")
            users.append(base64.b64decode(given.removeprefix("Basic ")).decode())
            listed = f'<!DOCTYPE html><html><body><a href="/files/{WHEEL}">{WHEEL}</a></body></html>'
            body = page.encode() or (content if self.path.endswith(".whl") else listed.encode())
            self.send_response(200 if users[-1] == f"team:{PASSWORD}" else 401)
            self.send_header("WWW-Authenticate", "Basic")
            self.send_header("Content-Type", "application/octet-stream" if self.path.endswith(".whl") else "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - the base class looks it up by this name

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((host, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://team:{PASSWORD}@{host}:{server.server_port}/simple", users
    finally:
        server.shutdown()
        server.server_close()


def bridge(engine: str) -> str:
    """Return the address of this machine as a build sees it."""
    if engine != "docker":
        pytest.skip("the address of the machine inside a build is known for docker alone")
    done = subprocess.run(["docker", "network", "inspect", "bridge"], capture_output=True, text=True, check=True, timeout=60)
    return str(json.loads(done.stdout)[0]["IPAM"]["Config"][0]["Gateway"])


def options(folder: Path, address: str, name: str) -> ImageOptions:
    host = address.rpartition("@")[2].partition(":")[0]
    (folder / "pip.conf").write_text(f"[global]\nindex-url = {address}\ntrusted-host = {host}\n")
    return ImageOptions(image_name=name, cached=False, secrets={PIP_CONF: folder / "pip.conf"})


#: In the place of the compiler, which imports the service: here its libraries are not locked.
COMPILE = "import os, sys\nfor path in sys.argv[2:]:\n    os.makedirs(path, exist_ok=True)\n"


def lock(folder: Path) -> Path:
    return folder / "bentoml" / "bentos" / TAG.name / TAG.version / "src/requirements/scorer.txt"


@pytest.fixture
def store(bento: BentoForTests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoreSettings:
    """A copy of the store whose bento needs the one wheel."""
    given = context._given_tools

    def given_tools(folder: Path) -> None:
        given(folder)
        (folder / "tools" / "compile.py").write_text(COMPILE)

    monkeypatch.setattr(context, "_given_tools", given_tools)
    copied_store(bento, tmp_path / "bentoml")
    lock(tmp_path).write_text(f"ours-alone==1.0 --hash=sha256:{hashlib.sha256(wheel()).hexdigest()}\n")
    return StoreSettings.read(bentoml_home=tmp_path / "bentoml")


def contents(engine: str, image: str) -> Iterator[tuple[str, bytes]]:
    """Yield each file of a saved image: its description with the history, and each file of each layer."""
    saved = subprocess.run([engine, "save", image], capture_output=True, check=True, timeout=120).stdout
    with tarfile.open(fileobj=io.BytesIO(saved)) as archive:
        for member in archive:
            file = archive.extractfile(member)
            data = file.read() if file else b""
            yield member.name, data
            if data[257:262] == b"ustar" or data[:2] == b"\x1f\x8b":
                with tarfile.open(fileobj=io.BytesIO(data)) as layer:
                    yield from ((each.name, found.read()) for each in layer if each.isreg() and (found := layer.extractfile(each)))


def test_the_index_gets_the_password_and_no_layer_does(store: StoreSettings, bento: BentoForTests, tmp_path: Path) -> None:
    name = f"{bento.repository}:of-the-index"
    with index(bridge(bento.engine), wheel()) as (address, users):
        containerize(store, bento_tag=TAG, options=options(tmp_path, address, name))
        host = address.rpartition("@")[2]
    try:
        assert f"team:{PASSWORD}" in users
        found = dict(contents(bento.engine, name))
        assert any(each.endswith("ours_alone.py") for each in found), "the layers were looked through"
        assert [each for each, data in found.items() if re.search(f"{PASSWORD}|{host}".encode(), data)] == []
    finally:
        removed(bento.engine, name)


def test_an_index_that_answers_by_a_page_is_said_without_the_password(store: StoreSettings, bento: BentoForTests, tmp_path: Path) -> None:
    name = f"{bento.repository}:of-a-page"
    # BuildKit runs a step once that two builds have at the same time, and the index is no part of it.
    lock(tmp_path).write_text(f"ours-alone==2.0 --hash=sha256:{'0' * 64}\n")
    with index(bridge(bento.engine), b"", page="<html><body>Please sign in</body></html>") as (address, _):
        chosen = options(tmp_path, address, name)
        with pytest.raises(OutsideError, match="the package index") as refused:
            containerize(store, bento_tag=TAG, options=chosen)
    assert PASSWORD not in refused.value.message
    assert inspect(bento.engine, name) is None
