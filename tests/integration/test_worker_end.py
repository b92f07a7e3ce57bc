"""A real service with two workers, on a bad day: no room for temporary files, an emptied folder, a port that is taken, a killed parent."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import requests

from passerelle.platform.ports import port_is_taken
from tests.service_fixtures import ROOT, ServedModel, serve

pytestmark = pytest.mark.integration


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A disk of 4 MiB, in the memory, for the service's temporary files."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts a small disk")
    folder = tmp_path / "temporary"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=True, timeout=30)
    monkeypatch.setenv("TMPDIR", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=30)


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def workers_of(service: ServedModel) -> list[psutil.Process]:
    return [each for each in psutil.Process(service.child.pid).children(recursive=True) if "worker" in " ".join(each.cmdline())]


def answers(service: ServedModel, path: str = "/classify") -> int:
    """Return the status of an answer, over a connection of its own; 0 where nobody answers."""
    try:
        if path == "/classify":
            return requests.post(f"{service.address}{path}", json={"text": "aucune réponse"}, timeout=10).status_code
        return requests.get(f"{service.address}{path}", timeout=10).status_code
    except requests.RequestException:
        return 0


def counted(service: ServedModel) -> float:
    """Return how many answers of `/classify` both workers counted."""
    lines = requests.get(f"{service.address}/metrics", timeout=10).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith('passerelle_requests_total{door="",route="/classify"'))


def fill(folder: Path) -> None:
    with (folder / "full").open("wb") as file:
        try:
            while True:
                os.write(file.fileno(), b"0" * 4_096)
        except OSError:
            return


def workers_start_without_room(service: ServedModel, disk: Path) -> None:
    fill(disk)
    assert {answers(service) for _ in range(20)} == {200}
    assert {answers(service, path) for path in ("/metrics", "/model", "/nothing") for _ in range(4)} == {200, 404}
    killed = workers_of(service)
    assert len(killed) == 2
    for worker in killed:
        worker.kill()
    assert not psutil.wait_procs(killed, timeout=30)[1]
    wait_until(lambda: len(workers_of(service)) == 2 and answers(service) == 200, "workers start on the full disk")
    assert {answers(service) for _ in range(20)} == {200}
    (disk / "full").unlink()
    wait_until(lambda: counted(service) >= 20, "what had no room is shared once there is room")


def counts_outlive_their_folder(service: ServedModel, disk: Path) -> None:
    shutil.rmtree(next(disk.glob("passerelle-metrics-*")))
    assert {answers(service, path) for path in ("/metrics", "/classify") for _ in range(10)} == {200}
    wait_until(lambda: counted(service) >= 30, "the folder is made anew with all counts")


def a_second_start_names_who_has_the_port(service: ServedModel, port: str) -> None:
    command = [sys.executable, "-m", "bentoml", "serve", "service:Classifier", "--host", "127.0.0.1", "--port", port]
    environment = {**os.environ, "BENTOML_HOME": str(service.bentoml_home), "PYTHONPATH": str(ROOT / "src")}
    second = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert second.returncode != 0
    said = second.stdout + second.stderr
    # The workers have the same socket as their parent.
    holder = re.search(rf"the port {port} is taken by process (\d+) \(", said)
    assert holder is not None
    assert int(holder[1]) in {service.child.pid, *(worker.pid for worker in workers_of(service))}
    assert "Traceback" not in said


def workers_end_with_their_parent(service: ServedModel, port: str) -> None:
    left = workers_of(service)
    psutil.Process(service.child.pid).kill()
    assert not psutil.wait_procs(left, timeout=30)[1]
    assert not port_is_taken(int(port))
    assert service.child.log_path.read_text().count("the process that supervises this worker is gone") == 2


def test_a_service_outlives_a_full_and_an_emptied_disk_and_ends_with_its_parent(bentoml_home: Path, small_disk: Path) -> None:
    with serve(bentoml_home, workers="2") as service:
        port = service.address.rpartition(":")[2]
        assert {answers(service) for _ in range(20)} == {200}
        workers_start_without_room(service, small_disk)
        counts_outlive_their_folder(service, small_disk)
        a_second_start_names_who_has_the_port(service, port)
        workers_end_with_their_parent(service, port)
