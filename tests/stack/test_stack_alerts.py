"""Each alert of the platform, fired by breaking what it watches, and received by what stands for an Alertmanager."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import reduce
from pathlib import Path

import pytest
import requests

from tests.stack.stack_fixtures import COMMENT, ROOT, StackForTests, until
from tests.stack.test_stack import client
from tests.stack.test_stack_monitoring import query

pytestmark = [pytest.mark.integration, pytest.mark.engine, pytest.mark.timeout(600)]
#: Tiny disks, ledgers that are verified every few seconds, a certificate of the stand-in's, and two Alertmanagers, of which one is gone;
#: another prober, of another S3 that does not answer; a MinIO on a disk that the stand-in has almost filled.
BROKEN = """
services:
  prober:
    environment:
      ALERTMANAGER_URL: http://stand-in:9093/of/the/team/, http://stand-in:9
      LEDGER_VERIFY_INTERVAL_S: "3"
      SITE_ADDRESS: classify.example.org
      PROXY_HOST: stand-in
    volumes:
      - {type: volume, source: tiny, target: /volumes/postgres, read_only: false}
      - {type: volume, source: filling, target: /volumes/prometheus, read_only: false}
  prober-elsewhere:
    extends: {file: compose.yaml, service: prober}
    environment: {S3_ENDPOINT_URL: "http://stand-in:9", PASSERELLE_S3_ENDPOINT_URL: "http://stand-in:9", LEDGER_VERIFY_INTERVAL_S: "3"}
  stand-in:
    extends: {file: compose.yaml, service: prober}
    entrypoint: [python3, /stand_in.py]
    networks: [platform]
    healthcheck: {test: [CMD, python3, -c, "import urllib.request as u; u.urlopen('http://127.0.0.1:9093/received')"], interval: 2s}
    volumes: ["./stand_in.py:/stand_in.py:ro", "small:/small"]
  minio-small:
    image: MINIO
    user: "1001:1001"
    networks: [platform]
    depends_on: {stand-in: {condition: service_healthy}}
    volumes: ["small:/data"]
    environment: {MINIO_ROOT_USER: admin, MINIO_ROOT_PASSWORD: of-this-test-alone, MINIO_PROMETHEUS_AUTH_TYPE: public}
volumes:
  tiny: {driver_opts: {type: tmpfs, device: tmpfs, o: "size=1m,uid=1003,gid=1003"}}
  filling: {driver_opts: {type: tmpfs, device: tmpfs, o: "size=1m,uid=1003,gid=1003"}}
  small: {driver_opts: {type: tmpfs, device: tmpfs, o: "size=40m,mode=1777"}}
"""
ADDED = ("stand-in", "minio-small", "prober-elsewhere", "prober")
#: What is wrong from the beginning: the last backup is three days old, the certificate expires in an hour, one Alertmanager is gone,
#: a second S3 does not answer, so that its ledgers are not verified, the disk of a MinIO is almost full, and a model is old soon.
AT_ONCE = {
    "BackupOld",
    "CertificateExpires",
    "AlertsNotDelivered",
    "OtherStorageDown",
    "LedgerNotVerified",
    "StorageAlmostFull",
    "ModelOld",
}
#: Of the second prober, which is stopped in the end.
ELSEWHERE = {"OtherStorageDown", "LedgerNotVerified"}
BY_PARTS = {"LedgerDamaged", "DiskFull", "DiskAlmostFull", "ProberDown"}
BY_TRAFFIC = {"ManyToReview", "AnswersSlow", "RequestsFail"}
BY_STOPPING = {"MlflowDown", "PostgresqlDown", "StorageDown", "ProxyDown", "OneReplicaLeft"}
#: Hours and months of the rules, which a test does not wait for.
SHORTER = ((r"\n +for: \S+", ""), (r"> 4 \* 3600", "> 30"), (r"> 180 \* 86400", "> 10"))
FILLED = """
open("/volumes/prometheus/file", "wb").write(bytes(240 * 4096))
try:
    with open("/volumes/postgres/file", "wb") as file:
        while True: file.write(b"x" * 4096)
except OSError as error: print(error.strerror)
"""


def firing(stack: StackForTests) -> set[str]:
    return {each["metric"]["alertname"] for each in query(stack, 'ALERTS{alertstate="firing"}')}


def fire(stack: StackForTests, alerts: set[str]) -> None:
    """Wait until all of these fire."""
    missing = set(alerts)

    def all_fire() -> bool:
        missing.intersection_update(alerts - firing(stack))
        return not missing

    with suppress(AssertionError):
        until(all_fire, within_s=90, what="all fire")
    assert not missing, "these do not fire"


@pytest.fixture(scope="module")
def watched(served: StackForTests) -> Iterator[StackForTests]:
    """The stack with alerts that fire without a delay, and with what is broken beside it."""
    deploy = served.folder / "deploy"
    for path in (deploy / "prometheus").iterdir():
        path.chmod(0o644)
    rules, config = deploy / "prometheus" / "rules.yml", deploy / "prometheus" / "prometheus.yml"
    before = {path: path.read_text() for path in (rules, config)}
    with ExitStack() as undone:
        for path, content in before.items():
            undone.callback(path.write_text, content)
        rules.write_text(reduce(lambda text, each: re.sub(each[0], each[1], text), SHORTER, before[rules]))
        targets = before[config].replace('"minio:9000"', '"minio:9000", "minio-small:9000"')
        targets = targets.replace('["prober:9100"]', '["prober:9100", "prober-elsewhere:9100"]')
        config.write_text(targets + "  - job_name: stand-in\n    static_configs: [{targets: ['stand-in:9093']}]\n")
        (deploy / "stand_in.py").write_text(Path(__file__).with_name("alert_stand_in.py").read_text())
        (deploy / "broken.yaml").write_text(BROKEN.replace("MINIO", served.inspected()["minio"]["Config"]["Image"], 1))
        undone.callback(as_before, served)
        served.compose("-f", "deploy/broken.yaml", "up", "--detach", "--wait", "--no-deps", *ADDED)
        served.compose("kill", "--signal", "HUP", "prometheus")
        yield served
    served.compose("kill", "--signal", "HUP", "prometheus")


def as_before(stack: StackForTests) -> None:
    """Remove what was added, with its volumes, and watch the stack as it is."""
    stack.compose("-f", "deploy/broken.yaml", "rm", "--stop", "--force", *ADDED)
    name = stack.environment["COMPOSE_PROJECT_NAME"]
    stack.run("docker", "volume", "rm", "--force", *(f"{name}_{volume}" for volume in ("tiny", "filling", "small")))
    stack.compose("up", "--detach", "--wait", "--no-deps", "prober")


@contextmanager
def edited_ledger(stack: StackForTests) -> Iterator[None]:
    """Write over an entry of the ledger."""
    admin = client(stack, "admin")
    listed = admin.list_objects_v2(Bucket="passerelle", Prefix="ledger/")["Contents"]  # type: ignore[attr-defined]
    key = next(each["Key"] for each in listed if re.search(r"/\d+\.jsonl?$", each["Key"]))
    entry = admin.get_object(Bucket="passerelle", Key=key)["Body"].read()  # type: ignore[attr-defined]
    admin.put_object(Bucket="passerelle", Key=key, Body=b"{}")  # type: ignore[attr-defined]
    try:
        yield
    finally:
        until(lambda: "StorageDown" not in firing(stack), within_s=90, what="MinIO is back")
        admin.put_object(Bucket="passerelle", Key=key, Body=entry)  # type: ignore[attr-defined]


def engine(*arguments: str) -> None:
    subprocess.run(["docker", *arguments], check=True, capture_output=True, timeout=120)


def unsure(stack: StackForTests) -> bool:
    """Ask for much that means nothing to the model; return whether the alert fires."""
    records = {"records": [{"text": "zzz qqq xxx"}] * 1000}
    for _ in range(5):
        asked = requests.post(f"{stack.address}/classify/batch", json=records, headers=key_of(stack), timeout=30)
        assert asked.status_code == requests.codes.ok, asked.text
    return "ManyToReview" in firing(stack)


def key_of(stack: StackForTests) -> dict[str, str]:
    return {"Authorization": f"Bearer {stack.secret('api_key')}"}


def throttled(stack: StackForTests) -> None:
    """Ask a replica that has a hundredth of a core for a while: it answers late, and refuses what it has no room for."""
    replica = stack.inspected()["service-1"]
    address = next(each["IPAddress"] for each in replica["NetworkSettings"]["Networks"].values())
    records = {"records": [{"text": COMMENT}] * 500}

    def ask(number: int) -> int:
        where, what = ("/classify", {"text": COMMENT * 30}) if number % 2 else ("/classify/batch", records)
        return requests.post(f"http://{address}:3000{where}", json=what, headers=key_of(stack), timeout=60).status_code

    engine("update", "--cpus", "0.02", replica["Id"])
    try:
        with ThreadPoolExecutor(40) as pool:
            statuses = [pool.submit(ask, number) for number in range(40)]
            time.sleep(4)
            engine("update", "--cpus", "1", replica["Id"])
            assert {each.result() for each in statuses} == {requests.codes.ok, requests.codes.service_unavailable}
    finally:
        engine("update", "--cpus", "1", replica["Id"])


def received(stack: StackForTests) -> set[str]:
    """Return what the Alertmanager was told of."""
    read = "import urllib.request as u; print(u.urlopen('http://stand-in:9093/received', timeout=5).read().decode())"
    return set(json.loads(stack.compose("-f", "deploy/broken.yaml", "exec", "-T", "prober", "python3", "-c", read)))


def test_each_alert_of_the_platform_fires_when_what_it_watches_breaks(watched: StackForTests) -> None:
    # What other tests asked counts as traffic.
    until(lambda: firing(watched) - BY_TRAFFIC == AT_ONCE, within_s=90, what="nothing fires but what is wrong from the beginning")
    ids = {name: each["Id"] for name, each in watched.inspected().items()}
    with edited_ledger(watched):
        filled = watched.compose("-f", "deploy/broken.yaml", "exec", "-T", "prober", "python3", "-c", FILLED)
        assert filled.strip() == "No space left on device"
        engine("stop", "--time", "1", ids["prober-elsewhere"])
        throttled(watched)
        until(lambda: unsure(watched), within_s=90, what="people must look at most answers")
        # A counter that was not there at the last scrape has no rate yet.
        throttled(watched)
        fire(watched, BY_PARTS | BY_TRAFFIC)
        # MLflow hangs, the others are gone.
        engine("pause", ids["mlflow"])
        stopped = [ids[name] for name in ("postgres", "minio", "proxy", "service-1")]
        try:
            engine("stop", "--time", "5", *stopped)
            fire(watched, BY_STOPPING)
            every = AT_ONCE | BY_PARTS | BY_TRAFFIC | BY_STOPPING
            until(lambda: received(watched) >= every, within_s=60, what="the Alertmanager is told of each")
        finally:
            engine("unpause", ids["mlflow"])
            engine("start", *stopped)
    left = AT_ONCE - ELSEWHERE | {"DiskFull", "DiskAlmostFull", "ProberDown"}
    # What is a share of the last minutes ends with these.
    with suppress(AssertionError):
        until(lambda: firing(watched) - BY_TRAFFIC == left, within_s=120, what="each alert ends with its cause")
    assert firing(watched) - BY_TRAFFIC == left
    assert watched.ask().status_code == requests.codes.ok


def test_each_alert_is_fired_by_a_break_of_what_it_watches() -> None:
    """Two are fired elsewhere: by test_no_replica_is_an_alarm, and by a roll-out that stops half-way."""
    alerts = set(re.findall(r"- alert: (\w+)", (ROOT / "deploy" / "prometheus" / "rules.yml").read_text()))
    assert alerts == AT_ONCE | BY_PARTS | BY_TRAFFIC | BY_STOPPING | {"NoReplicaAnswers", "VersionsDiffer"}
