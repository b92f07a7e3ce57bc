"""A container of the image as it runs in production: what it may do, read back from itself, and how it ends."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from passerelle.errors import OutsideError
from passerelle.rollout.container import Container, resident_bytes, running, smoke
from tests.engine_fixtures import BentoForTests
from tests.listening import answering, listening

pytestmark = [pytest.mark.integration, pytest.mark.engine]
READ_BACK = """
import json, os
status = dict(line.split(":\\t", 1) for line in open("/proc/1/status").read().splitlines() if ":\\t" in line)
mounts = {line.split()[1]: line.split()[3].split(",") for line in open("/proc/mounts")}
refused = {}
for path in ("/x", "/app/x", "/home/bentoml/x", "/etc/x", "/usr/x"):
    try:
        open(path, "w"); refused[path] = False
    except OSError:
        refused[path] = True
def read(*names):
    for name in names:
        try:
            return open("/sys/fs/cgroup/" + name).read().strip()
        except OSError:
            pass
print(json.dumps({
    "uid": os.getuid(), "gid": os.getgid(), "root": mounts["/"], "tmp": mounts["/tmp"], "refused": refused,
    **{name: status[name].strip() for name in ("CapEff", "CapPrm", "CapBnd", "NoNewPrivs", "Seccomp", "Uid", "Groups")},
    "memory": read("memory.max", "memory/memory.limit_in_bytes"), "pids": read("pids.max", "pids/pids.max"),
}))
"""

#: Leaves a process that outlives its parent by a moment, and prints its number.
ORPHAN = """
import os, time
if os.fork() == 0:
    os.setsid()
    orphan = os.fork()
    if orphan == 0:
        time.sleep(0.2)
    else:
        print(orphan, flush=True)
    os._exit(0)
os.wait()
"""


@pytest.fixture(scope="module", params=[False, True], ids=["whole", "slim"])
def container(bento: BentoForTests, request: pytest.FixtureRequest) -> Iterator[Container]:
    image = bento.image(slim=request.param)
    with running(bento.engine, str(image.image), environment={"PASSERELLE_AUTH": "off"}) as started:
        yield started


def inside(container: Container, code: str) -> str:
    command = [container.engine, "exec", container.container_id, "python3", "-I", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_it_holds_no_privilege(container: Container) -> None:
    found = json.loads(inside(container, READ_BACK))
    assert (found["uid"], found["gid"]) == (1034, 1034)
    assert found["Uid"].split() == ["1034"] * 4
    assert {int(found[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")} == {0}
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
    assert "ro" in found["root"]
    assert {"rw", "noexec", "nosuid", "nodev"} <= set(found["tmp"])
    assert found["refused"] == dict.fromkeys(found["refused"], True)
    assert int(found["memory"]) == 512 * 2**20
    assert int(found["pids"]) == 100


def test_it_listens_on_its_http_port_alone(container: Container) -> None:
    command = [container.engine, "inspect", "--format", "{{.State.Pid}}", container.container_id]
    pid = int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout)
    if os.geteuid() != 0 or not Path("/proc", str(pid)).exists():
        pytest.skip("looking into the container's namespaces needs root, on the engine's machine")
    opened = listening(pid)
    assert opened == {("tcp", 3000)}
    assert answering(pid, opened) == opened


def test_its_own_health_check_finds_it_healthy(container: Container) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        command = [container.engine, "inspect", "--format", "{{.State.Health.Status}}", container.container_id]
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
        if said == "healthy":
            return
        time.sleep(0.5)
    pytest.fail(said)


def test_its_first_process_reaps_orphans(container: Container) -> None:
    orphan = int(inside(container, ORPHAN))
    deadline = time.monotonic() + 15
    # One that is not reaped stays there as a zombie.
    while inside(container, f"import os; print(os.path.exists('/proc/{orphan}'))") == "True\n":
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.timing
def test_it_starts_fast_and_holds_little(container: Container) -> None:
    for _ in range(50):
        requests.post(f"{container.address}/classify", json={"text": "aucune réponse depuis trois mois"}, timeout=10)
    assert container.ready_seconds < 10, "the figure is measured by loadtests/images.py; this finds a start that went wrong"
    assert resident_bytes(container) < 256 * 2**20


@pytest.mark.parametrize("slim", [False, True], ids=["whole", "slim"])
def test_nothing_is_compiled_when_it_starts(bento: BentoForTests, slim: bool) -> None:
    environment = {"PASSERELLE_AUTH": "off", "PYTHONVERBOSE": "1"}
    with running(bento.engine, str(bento.image(slim=slim).image), environment=environment) as container:
        requests.post(f"{container.address}/classify", json={"text": "aucune réponse depuis trois mois"}, timeout=10).raise_for_status()
        done = subprocess.run([bento.engine, "logs", container.container_id], capture_output=True, text=True, check=True, timeout=60)
    taken = set(re.findall(r"code object from '?(/[^' ]+\.pyc?)'?$", done.stderr, re.MULTILINE))
    assert len(taken) > 500
    assert {path for path in taken if path.endswith(".py")} == set(), "its root is read-only: they would be compiled at every start"


def test_the_slim_image_has_no_shell(bento: BentoForTests) -> None:
    image = str(bento.image(slim=True).image)
    for shell in ("sh", "bash", "/bin/sh", "/bin/dash", "/bin/busybox"):
        done = subprocess.run(
            [bento.engine, "run", "--rm", "--entrypoint", shell, image, "-c", "true"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 127


def test_docker_stop_lets_the_request_in_flight_end(bento: BentoForTests) -> None:
    image = str(bento.image().image)
    with running(bento.engine, image, environment={"PASSERELLE_AUTH": "off"}) as container:
        answered: list[int] = []
        body = b'{"records":[' + b",".join([b'{"text":"' + b"rue sans lumi\xc3\xa8re " * 50 + b'"}'] * 300) + b"]}"

        def ask() -> None:
            host, port = container.address.removeprefix("http://").split(":")
            connection = http.client.HTTPConnection(host, int(port), timeout=30)
            connection.putrequest("POST", "/classify/batch")
            connection.putheader("Content-Type", "application/json")
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders()
            for start in range(0, len(body), len(body) // 10):
                connection.send(body[start : start + len(body) // 10])
                time.sleep(0.15)
            answered.append(connection.getresponse().status)
            connection.close()

        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(0.4)
        subprocess.run([bento.engine, "stop", "--time", "20", container.container_id], check=True, capture_output=True, timeout=60)
        asking.join(30)
        inspect = [bento.engine, "inspect", "--format", "{{json .State}}", container.container_id]
        state = subprocess.run(inspect, capture_output=True, text=True, check=True)
    assert answered == [200]
    ended = json.loads(state.stdout)
    assert (ended["ExitCode"], ended["OOMKilled"]) == (0, False)


def test_a_container_that_cannot_start_says_why(bento: BentoForTests) -> None:
    with pytest.raises(OutsideError, match=r"(?s)ended by itself.*PASSERELLE_MAX_BODY_BYTES"):
        smoke(bento.engine, str(bento.image().image), bento.golden, expected_version="7", environment={"PASSERELLE_MAX_BODY_BYTES": "much"})
