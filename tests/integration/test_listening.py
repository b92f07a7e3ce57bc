"""A service listens on its HTTP port and on nothing else that another user could reach."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from pathlib import Path

import pytest
from circus.client import CircusClient

from passerelle.rollout.local import attached
from tests.engine_fixtures import TAG, write_bento
from tests.listening import Socket, answering, listening
from tests.service_fixtures import serve

pytestmark = pytest.mark.integration


def http(address: str) -> set[Socket]:
    return {("tcp", int(address.rpartition(":")[2]))}


def hold_closed(pid: int, address: str, opened: set[Socket]) -> None:
    if os.geteuid() != 0:
        pytest.skip("connecting as another user needs root")
    assert answering(pid, opened) == http(address)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_bentoml_serve_listens_on_its_http_port_alone(bentoml_home: Path, workers: str) -> None:
    with serve(bentoml_home, workers=workers) as running:
        opened = listening(running.child.pid)
        assert opened == http(running.address)
        hold_closed(running.child.pid, running.address, opened)


def test_with_reload_only_its_own_user_reaches_the_supervisor(bentoml_home: Path) -> None:
    with serve(bentoml_home, options=["--reload"]) as running:
        opened = listening(running.child.pid)
        paths = sorted(Path(str(path)) for kind, path in opened if kind == "unix")
        assert opened - {("unix", str(path)) for path in paths} == http(running.address)
        assert [path.name for path in paths] == ["control", "events"]
        assert {stat.S_IMODE(path.parent.stat().st_mode) for path in paths} == {0o700}
        client = CircusClient(endpoint=f"ipc://{paths[0]}", timeout=30)
        assert client.send_message("status")["statuses"]["service"] == "active", "the reloader, of the same user, is heard"
        client.stop()
        hold_closed(running.child.pid, running.address, opened)
    assert not paths[0].parent.exists()


def test_deploy_listens_on_its_http_port_alone(tmp_path: Path) -> None:
    settings = write_bento(tmp_path / "bentoml")
    with attached(TAG, settings=settings, state_dir=tmp_path / "state") as (child, deployment):
        assert deployment.address is not None
        opened = listening(child.pid)
        assert opened == http(deployment.address)
        hold_closed(child.pid, deployment.address, opened)


def test_the_check_itself_finds_a_socket_of_each_kind() -> None:
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as abstract, socket.socket(socket.AF_UNIX) as closed:
        tcp.bind(("127.0.0.1", 0))
        abstract.bind(f"\0passerelle-{os.getpid()}")
        folder = tempfile.mkdtemp()
        closed.bind(f"{folder}/s")
        for each in (tcp, abstract, closed):
            each.listen()
        reachable: set[Socket] = {("tcp", tcp.getsockname()[1]), ("unix", f"@passerelle-{os.getpid()}")}
        wanted = reachable | {("unix", f"{folder}/s")}
        assert wanted <= listening(os.getpid())
        if os.geteuid() == 0:
            assert answering(os.getpid(), wanted) == reachable
    Path(folder, "s").unlink()
    Path(folder).rmdir()
