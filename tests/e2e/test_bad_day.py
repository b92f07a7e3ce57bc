"""Where the service runs may be odd: IPv6, a folder that nobody may write to, a clock that jumps, model files that are replaced."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from passerelle.api_keys import make_key
from tests.e2e.test_faults import workers
from tests.service_fixtures import ROOT, ServedModel, serve, write_store

pytestmark = [pytest.mark.e2e, pytest.mark.integration]

LIMIT = 60
RECORD = {"text": "un grand merci"}


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedModel]:
    """A service of two workers on every address of both protocols, with a rate limit, in a folder that is read-only."""
    home = write_store(tmp_path_factory.mktemp("odd") / "bentoml")
    folder = tmp_path_factory.mktemp("read-only")
    mount = shutil.which("mount")
    mounted = mount and subprocess.run([mount, "-t", "tmpfs", "tmpfs", str(folder)], check=False, capture_output=True).returncode == 0
    shutil.copy(ROOT / "service.py", folder)
    if mounted:
        subprocess.run([str(mount), "-o", "remount,ro", str(folder)], check=True)
    folder.chmod(0o500) if not mounted else None
    try:
        options = ("--host", "::")
        with serve(
            home, options=options, module="tests.e2e.day_clock", cwd=folder, workers="2", rate_limit=f"{LIMIT}/hour", auth="auto"
        ) as running:
            yield running
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def asked(service: ServedModel, token: str | None = None, *, host: str = "[::1]") -> requests.Response:
    """Ask on a connection of its own, so that either worker may answer."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    port = urlsplit(service.address).port
    return requests.post(f"http://{host}:{port}/classify", json=RECORD, headers=headers, timeout=10)


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def test_loopback_is_loopback_in_both_protocols(odd: ServedModel) -> None:
    for host in ("[::1]", "127.0.0.1"):
        answer = asked(odd, host=host)
        assert (answer.status_code, answer.json()["label"]) == (200, "merci")
        assert int(answer.headers["ratelimit-remaining"]) == LIMIT - 1, "each address has a limit of its own"


def test_all_workers_hold_one_limit_and_the_clock_changes_nothing(odd: ServedModel) -> None:
    keys = odd.bentoml_home / "keys.json"
    token, metrics = make_key(keys, "agents").token, make_key(keys, "metrics").token
    time.sleep(1.2)  # the keys are read once a second
    statuses = Counter(asked(odd, token).status_code for _ in range(LIMIT + 20))
    assert statuses == {200: LIMIT, 429: 20}, "two workers with a limit each would allow twice as many"
    for jump in (signal.SIGUSR2, signal.SIGUSR1):
        for worker in workers(odd):
            worker.send_signal(jump)
        time.sleep(1.2)
        assert asked(odd, token).status_code == 429, "its window neither ended nor grew"
        assert 0 < int(asked(odd, token).headers["retry-after"]) <= 3_600
        text = requests.get(odd.address + "/metrics", headers={"Authorization": f"Bearer {metrics}"}, timeout=10).text
        assert 'passerelle_requests_total{door="",route="/classify",status="429"}' in text
    lines = [json.loads(line) for line in odd.child.log_path.read_text().splitlines() if line.startswith("{")]
    times = [line["time"] for line in lines if line.get("route") == "/classify"]
    assert max(times) - min(times) > 2 * 86_400, "the log goes on, with the times that the clock shows"


def test_an_expired_key_is_none_and_is_one_again_when_the_clock_is_set_back(odd: ServedModel) -> None:
    """Seen on the rights of keys: on loopback, who has no key is let in."""
    token = make_key(odd.bentoml_home / "keys.json", "reads", days=1, rights=("feedback",)).token
    for worker in workers(odd):
        worker.send_signal(signal.SIGUSR1)
    until(lambda: asked(odd, token).status_code == 403, "the key lacks the right to classify")
    for worker in workers(odd):
        worker.send_signal(signal.SIGUSR2)
    until(lambda: asked(odd, token).status_code in (200, 429), "two days ahead, it expired")
    for worker in workers(odd):
        worker.send_signal(signal.SIGUSR1)
    until(lambda: asked(odd, token).status_code == 403, "set back, it is valid")


def test_model_files_that_are_replaced_change_no_answer(odd: ServedModel) -> None:
    def answer() -> dict[str, object]:
        records = {"records": [{"text": f"trottoir cassé {each}"} for each in range(50)]}
        token = make_key(odd.bentoml_home / "keys.json", f"key {time.monotonic_ns()}").token
        headers = {"Authorization": f"Bearer {token}"}
        until(lambda: requests.post(odd.address + "/classify", json=RECORD, headers=headers, timeout=10).status_code == 200, "a key")
        content = requests.post(odd.address + "/classify/batch", json=records, headers=headers, timeout=10).json()
        return {"predictions": [{**each, "prediction_id": ""} for each in content["predictions"]]}

    before = answer()
    for path in odd.bentoml_home.glob("models/**/*"):
        if path.is_file():
            Path(shutil.copy(__file__, path.with_name(f"{path.name}.new"))).replace(path)
    assert answer() == before
    assert requests.get(odd.address + "/readyz", timeout=10).json() == {"ready": True, "model_version": "7"}
    assert "Traceback" not in odd.child.log_path.read_text()
