"""A new model goes behind the proxy while people ask, and back again; what is bad never gets there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.stack.stack_fixtures import COMMENT, StackForTests, traffic, until

pytestmark = [pytest.mark.integration, pytest.mark.engine, pytest.mark.timeout(1800)]
Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def second(served: StackForTests) -> StackForTests:
    """Another candidate of the same training in production, as version 2, by criteria that let it be worse: nothing is forced here."""
    ranked = json.loads(served.done("passerelle", "compare", "--json"))["rows"]
    other = next(row["run_id"] for row in ranked if row["candidate"] == "char_lr")
    served.done("passerelle", "register", "--run", other)
    (served.folder / "lenient.yaml").write_text("champion: {must_be_better: false, not_worse_by: 1.0}\n")
    forced = served.run("passerelle", "promote", "--version", "2", "--force", "--reason", "to roll out another one")
    assert (forced.returncode, "not forced in production" in forced.stderr) == (1, True), forced.stderr
    served.done("passerelle", "promote", "--version", "2", "--criteria", "lenient.yaml")
    return served


def carried(stack: StackForTests) -> dict[str, object]:
    """Import, build and deploy what is in production."""
    stack.done("passerelle", "import")
    stack.done("passerelle", "build")
    answer: dict[str, object] = json.loads(stack.done("passerelle", "deploy", "--target", "compose", "--json"))
    return answer


def test_a_new_version_and_the_way_back_fail_no_request(second: StackForTests, record_property: Record) -> None:
    disagreeing = json.loads(second.done("passerelle", "status", "--json"))
    assert "passerelle deploy --target compose" in [each["command"] for each in disagreeing["disagreements"]]
    with traffic(second) as seen:
        time.sleep(1)
        forth = carried(second)
        time.sleep(1)
        second.done("passerelle", "rollback")
        back = carried(second)
        time.sleep(1)
    assert forth["changed"] and back["changed"]
    assert (seen.failed, seen.errors[:3]) == (0, [])
    order = [version for version, before in zip(seen.versions, [None, *seen.versions], strict=False) if version != before]
    assert order[0] == order[-1] == "1"
    assert "2" in seen.versions
    assert json.loads(second.done("passerelle", "status", "--json"))["disagreements"] == []
    times = f"{forth['seconds']:.1f} s and {back['seconds']:.1f} s, the longest answer {seen.longest_s:.2f} s"
    record_property("figure", f"roll-out of two replicas and back: {len(seen.statuses)} requests, {seen.failed} failed; {times}")


def test_an_image_that_does_not_get_ready_leaves_all_as_it_was(served: StackForTests) -> None:
    before = {name: held["Image"] for name, held in served.inspected().items()}
    environment = (served.folder / "deploy" / ".env").read_text()
    tag = json.loads(served.done("passerelle", "status", "--json"))["holdings"]["bento"]
    image = f"passerelle/{tag}"
    good = f"{image}-good"
    try:
        subprocess.run(["docker", "tag", image, good], check=True, timeout=60)
        broken = f"FROM {good}\nENV PASSERELLE_MAX_BODY_BYTES=much\n"
        labels = ["--label", "test=broken"]
        subprocess.run(
            ["docker", "build", "--quiet", "--tag", image, *labels, "-"],
            input=broken,
            text=True,
            check=True,
            timeout=120,
            capture_output=True,
        )
        with traffic(served) as seen:
            said = served.run("passerelle", "deploy", "--target", "compose")
        assert said.returncode == 3, said.stdout + said.stderr
        assert "does not get ready" in said.stderr
        assert "PASSERELLE_MAX_BODY_BYTES" in said.stderr
        assert seen.failed == 0, seen.errors[:3]
        assert {name: held["Image"] for name, held in served.inspected().items()} == before
        assert (served.folder / "deploy" / ".env").read_text() == environment
    finally:
        subprocess.run(["docker", "tag", good, image], check=True, timeout=60)
        subprocess.run(["docker", "image", "rm", good], check=True, timeout=60, capture_output=True)


def test_down_and_up_keeps_all(served: StackForTests) -> None:
    before = served.done("passerelle", "history", "--verify", "--json")
    served.compose("down")
    served.compose("up", "--detach", "--wait")
    served.connect()
    assert served.done("passerelle", "history", "--verify", "--json") == before
    assert served.ask().json()["model_version"] == "1"
    assert json.loads(served.done("passerelle", "status", "--json"))["disagreements"] == []


def test_the_proxy_speaks_tls_under_a_name(served: StackForTests) -> None:
    served.environment["SITE_ADDRESS"] = "localhost"
    try:
        served.compose("up", "--detach", "--wait", "proxy")
        authority = f"/proc/{served.inspected()['proxy']['State']['Pid']}/root/data/caddy/pki/authorities/local/root.crt"
        address = f"https://localhost:{served.environment['SERVICE_TLS_PORT']}"
        until(lambda: Path(authority).exists(), within_s=20, what="Caddy has a certificate")
        headers = {"Authorization": f"Bearer {served.secret('api_key')}"}
        answer = requests.post(f"{address}/classify", json={"text": COMMENT}, headers=headers, verify=authority, timeout=20)
        assert answer.status_code == 200
    finally:
        del served.environment["SITE_ADDRESS"]
        served.compose("up", "--detach", "--wait", "proxy")


def test_whatever_is_killed_comes_back(served: StackForTests, record_property: Record) -> None:
    rows = []
    for name in ("minio", "postgres", "mlflow", "prometheus", "service-1", "service-2", "proxy"):
        held = served.inspected()[name]
        pid, restarts = held["State"]["Pid"], held["RestartCount"]
        with traffic(served) as seen:
            time.sleep(0.5)
            os.kill(pid, signal.SIGKILL)

            def healthy(name: str = name, restarts: int = restarts) -> bool:
                now = served.inspected()[name]
                return bool(now["RestartCount"] > restarts and now["State"].get("Health", {}).get("Status") == "healthy")

            took = until(healthy, within_s=90, what=f"{name} gets healthy again")
            time.sleep(0.5)
        rows.append(f"{name:<11} healthy again after {took:4.1f} s; {len(seen.statuses) + len(seen.errors)} requests, {seen.failed} failed")
        if name != "proxy":
            assert (name, seen.failed, seen.errors[:3]) == (name, 0, [])
    for row in rows:
        record_property("figure", "kill -9: " + row)
    until(lambda: served.run("passerelle", "status").returncode == 0, within_s=60, what="the registry answers")
    assert json.loads(served.done("passerelle", "history", "--verify", "--json"))["findings"] == []
