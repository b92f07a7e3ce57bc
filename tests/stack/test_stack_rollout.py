"""A new model goes behind the proxy while people ask, and back again; what is bad never gets there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from passerelle.errors import BusyError
from passerelle.rollout.compose import bring_up
from tests.stack.stack_fixtures import COMMENT, StackForTests, inspected, traffic, until
from tests.stack.test_stack_monitoring import query

pytestmark = [pytest.mark.integration, pytest.mark.engine, pytest.mark.timeout(1800)]
Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def second(served: StackForTests) -> StackForTests:
    """Another candidate of the same training in production, as version 2, by criteria that let it be worse: nothing is forced here."""
    ranked = json.loads(served.done("passerelle", "compare", "--json"))["rows"]
    other = next(row["run_id"] for row in ranked if row["candidate"] == "word_lr")
    (served.folder / "lenient.yaml").write_text("champion: {must_be_better: false, not_worse_by: 1.0}\n")
    served.done("passerelle", "register", "--run", other, "--criteria", "lenient.yaml")
    forced = served.run("passerelle", "promote", "--version", "2", "--force", "--reason", "to roll out another one")
    assert (forced.returncode, "not forced in production" in forced.stderr) == (1, True), forced.stderr
    served.done("passerelle", "promote", "--version", "2", "--criteria", "lenient.yaml", "--reason", "a trial of the roll-out")
    return served


def carried(stack: StackForTests, *before: str) -> dict[str, Any]:
    """Deploy what is in production, which imports and builds it; these commands first."""
    for command in before:
        stack.done("passerelle", command)
    answer: dict[str, Any] = json.loads(stack.done("passerelle", "deploy", "--target", "compose", "--json"))
    return answer


def half_way_is_an_alert(stack: StackForTests, image: str) -> None:
    """Give one replica the image of before; the rule waits for ten minutes until it fires."""
    alone = ("--profile", "service", "up", "--detach", "--wait", "--no-deps", "service-2")
    assert stack.run("docker", "compose", "-f", "deploy/compose.yaml", *alone, variables={"SERVICE_IMAGE": image}).returncode == 0
    until(lambda: query(stack, 'ALERTS{alertname="VersionsDiffer"}'), within_s=60, what="the replicas serve different versions")


def test_a_new_version_and_the_way_back_fail_no_request(second: StackForTests, record_property: Record) -> None:
    disagreeing = json.loads(second.done("passerelle", "status", "--json"))
    assert "passerelle deploy --target compose" in [each["command"] for each in disagreeing["disagreements"]]
    with traffic(second) as seen:
        time.sleep(1)
        before = second.inspected()["service-2"]["Image"]
        forth = carried(second)
        time.sleep(1)
        half_way_is_an_alert(second, before)
        second.done("passerelle", "rollback")
        back = carried(second, "import", "build")
        time.sleep(1)
    assert forth["changed"] and back["changed"]
    assert forth["bento_tag"]["version"].startswith("2-")
    assert (seen.failed, seen.errors[:3]) == (0, [])
    order = [version for version, before in zip(seen.versions, [None, *seen.versions], strict=False) if version != before]
    assert order[0] == order[-1] == "1"
    assert "2" in seen.versions
    assert json.loads(second.done("passerelle", "status", "--json"))["disagreements"] == []
    times = f"{forth['seconds']:.1f} s and {back['seconds']:.1f} s, the longest answer {seen.longest_s:.2f} s"
    record_property("figure", f"roll-out of two replicas and back: {len(seen.statuses)} requests, {seen.failed} failed; {times}")


def test_what_was_built_last_is_not_what_is_in_production(served: StackForTests) -> None:
    """A bento of the embedded registry, say, which `make demo` built: it takes its name to deploy that."""
    home = served.folder / ".passerelle" / "bentoml"
    newer = next(path for path in (home / "bentos" / "classification").iterdir() if path.name.startswith("2-"))
    latest = home / ".passerelle-latest-bentos"
    held = latest.read_text()
    try:
        latest.write_text(f"classification:{newer.name}")
        said = json.loads(served.done("passerelle", "deploy", "--target", "compose", "--json"))
        assert said["changed"] is False
        assert said["bento_tag"]["version"].startswith("1-")
        dry = json.loads(served.done("passerelle", "deploy", f"classification:{newer.name}", "--target", "compose", "--dry-run", "--json"))
        assert (dry["changed"], dry["bento_tag"]["version"]) == (True, newer.name)
    finally:
        latest.write_text(held)


def test_another_limit_is_a_deployment_one_replica_after_the_other(served: StackForTests) -> None:
    def limits() -> list[int]:
        held = served.inspected()
        return [held[name]["HostConfig"]["Memory"] for name in ("service-1", "service-2")]

    served.done("passerelle", "up", "--target", "compose", "--no-model")
    before = limits()
    served.environment["SERVICE_MEMORY"] = "600m"
    try:
        # What brings the platform up leaves the replicas alone, which plain compose would make anew both at once.
        ids = {name: held["Id"] for name, held in served.inspected().items()}
        served.done("passerelle", "up", "--target", "compose", "--no-model")
        after = {name: held["Id"] for name, held in served.inspected().items()}
        assert [after[name] for name in ("service-1", "service-2")] == [ids[name] for name in ("service-1", "service-2")]
        with traffic(served) as seen:
            assert json.loads(served.done("passerelle", "deploy", "--target", "compose", "--json"))["changed"] is True
        assert (limits(), seen.failed) == ([600 * 2**20] * 2, 0), seen.errors[:3]
        assert json.loads(served.done("passerelle", "deploy", "--target", "compose", "--json"))["changed"] is False
        refused = served.run("passerelle", "deploy", "--target", "compose", variables={"SERVICE_WORKERS": "much"})
        assert (refused.returncode, "all is as it was before" in refused.stderr) == (3, True), refused.stderr
        assert limits() == [600 * 2**20] * 2
    finally:
        del served.environment["SERVICE_MEMORY"]
        assert json.loads(served.done("passerelle", "deploy", "--target", "compose", "--json"))["changed"] is True
    assert limits() == before


def test_one_that_is_down_comes_first_and_an_interruption_puts_all_back(second: StackForTests) -> None:
    tag = next(path.name for path in (second.folder / ".passerelle/bentoml/bentos/classification").iterdir() if path.name.startswith("2-"))
    command = ["passerelle", "deploy", f"classification:{tag}", "--target", "compose"]
    before = second.inspected()
    second.compose("--profile", "service", "stop", "service-2")
    with traffic(second) as seen:
        child = subprocess.Popen(
            command,
            cwd=second.folder,
            env=second.environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            # A shell that started the tests in the background would have them ignore it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )
        assert child.stderr is not None
        began = next(line for line in child.stderr if "service-" in line)
        assert "service-2" in began, "the one that answers is not replaced before the other is there"
        with pytest.raises(BusyError, match="is under way"):
            bring_up(second.stack, init=False, progress=lambda _: None)
        os.killpg(child.pid, signal.SIGINT)
        said = child.communicate(timeout=120)[1]
    assert child.returncode == 130, said
    assert seen.failed == 0, seen.errors[:3]
    assert second.inspected()["service-1"]["Id"] == before["service-1"]["Id"]
    assert "service-2" not in second.inspected(), "it did not run before"
    second.done("passerelle", "deploy", "--target", "compose")
    assert {second.inspected()[name]["Image"] for name in ("service-1", "service-2")} == {before["service-1"]["Image"]}


def test_an_image_that_does_not_get_ready_leaves_all_as_it_was(served: StackForTests) -> None:
    before = {name: held["Image"] for name, held in served.inspected().items()}
    environment = (served.folder / "deploy" / ".env").read_text()
    tag = json.loads(served.done("passerelle", "status", "--json"))["holdings"]["bento"]
    image = json.loads(served.done("passerelle", "status", "--json"))["holdings"]["image"]
    assert image.startswith(f"passerelle/{tag}-")
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
        assert "all is as it was before" in said.stderr
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
        said = json.loads(served.done("passerelle", "env", "--target", "compose", "--json"))
        assert said["PASSERELLE_SERVICE_ADDRESS"] == address
        served.connect()
        [doubt] = json.loads(served.done("passerelle", "status", "--json"))["disagreements"]
        assert "not trusted here" in doubt["what"]
        trusting = {"REQUESTS_CA_BUNDLE": authority}
        trusted = served.run("passerelle", "status", "--json", variables=trusting)
        assert json.loads(trusted.stdout)["disagreements"] == [], trusted.stderr
    finally:
        del served.environment["SITE_ADDRESS"]
        served.compose("up", "--detach", "--wait", "proxy")
        served.connect()


@pytest.mark.timing
def test_whatever_is_killed_comes_back(served: StackForTests, record_property: Record) -> None:
    rows = []
    for name in ("minio", "postgres", "mlflow", "prometheus", "service-1", "service-2", "proxy"):
        held = served.inspected()[name]
        pid, restarts = held["State"]["Pid"], held["RestartCount"]
        with traffic(served) as seen:
            time.sleep(0.5)
            os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()

            def healthy(container: str = held["Id"], restarts: int = restarts) -> bool:
                [now] = inspected(container)
                return bool(now["RestartCount"] > restarts and now["State"].get("Health", {}).get("Status") == "healthy")

            took = until(healthy, within_s=90, what=f"{name} gets healthy again")
            time.sleep(0.5)
        until_s = seen.failed_until_s(killed)
        requests_seen = f"{seen.asked} requests, {seen.failed} failed, the last {until_s:.1f} s after the kill"
        rows.append(f"{name:<11} healthy again after {took:4.1f} s; {requests_seen}; the longest answer {seen.longest_s:.1f} s")
        # The goal is 5 s on a quiet machine; other tests run beside this.
        assert (name, seen.failed, seen.errors[:3]) == (name, 0, []) if name != "proxy" else until_s < 10, rows[-1]
    for row in rows:
        record_property("figure", "kill -9: " + row)
    until(lambda: served.run("passerelle", "status").returncode == 0, within_s=60, what="the registry answers")
    assert json.loads(served.done("passerelle", "history", "--verify", "--json"))["findings"] == []


@pytest.mark.timing
def test_a_replica_that_hangs_is_taken_out(served: StackForTests, record_property: Record) -> None:
    replica = served.inspected()["service-1"]["Id"]
    with traffic(served) as seen:
        time.sleep(0.5)
        subprocess.run(["docker", "pause", replica], check=True, capture_output=True, timeout=60)
        try:
            # What waits on it is asked of the other one after four seconds.
            time.sleep(5.5)
        finally:
            subprocess.run(["docker", "unpause", replica], check=True, capture_output=True, timeout=60)
    row = f"docker pause: {seen.asked} requests, {seen.failed} failed; the longest answer {seen.longest_s:.1f} s"
    record_property("figure", row)
    # The goal is 5 s on a quiet machine; other tests run beside this.
    assert (seen.failed, seen.errors[:3], 3 < seen.longest_s < 10) == (0, [], True), row
    until(lambda: inspected(replica)[0]["State"]["Health"]["Status"] == "healthy", within_s=60, what="the replica gets healthy again")
