"""Each alert of the platform, fired by breaking what it watches, and received by what stands for an Alertmanager."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.stack.stack_fixtures import ROOT, StackForTests, until
from tests.stack.test_stack import client
from tests.stack.test_stack_monitoring import query

pytestmark = [pytest.mark.integration, pytest.mark.engine, pytest.mark.timeout(600)]
#: A tiny disk, ledgers that are verified all the time, a certificate of the stand-in's, and an Alertmanager below a path.
BROKEN = """
services:
  prober:
    environment:
      ALERTMANAGER_URL: http://stand-in:9093/of/the/team/
      LEDGER_VERIFY_INTERVAL_S: "1"
      SITE_ADDRESS: classify.example.org
      PROXY_HOST: stand-in
    volumes: [{type: volume, source: tiny, target: /volumes/postgres, read_only: false}]
  stand-in:
    extends: {file: compose.yaml, service: prober}
    entrypoint: [python3, /stand_in.py]
    networks: [platform]
    healthcheck: {test: [CMD, python3, -c, "import urllib.request as u; u.urlopen('http://127.0.0.1:9093/received')"], interval: 2s}
    volumes: ["./stand_in.py:/stand_in.py:ro"]
volumes:
  tiny: {driver_opts: {type: tmpfs, device: tmpfs, o: "size=1m,uid=1003,gid=1003"}}
"""
#: What is wrong from the beginning: the last backup is three days old, and the certificate expires in an hour.
AT_ONCE = {"BackupOld", "CertificateExpires"}
BY_BREAKING = {"MlflowDown", "PostgresqlDown", "StorageDown", "ProxyDown", "OneReplicaLeft", "DiskFull", "LedgerDamaged"}
FILLED = """
try:
    with open("/volumes/postgres/file", "wb") as file:
        while True: file.write(b"x" * 4096)
except OSError as error: print(error.strerror)
"""


def firing(stack: StackForTests) -> set[str]:
    return {each["metric"]["alertname"] for each in query(stack, 'ALERTS{alertstate="firing"}')}


@pytest.fixture(scope="module")
def watched(served: StackForTests) -> Iterator[StackForTests]:
    """The stack with alerts that fire without a delay, and with the stand-in."""
    deploy = served.folder / "deploy"
    for path in (deploy / "prometheus").iterdir():
        path.chmod(0o644)
    rules, config = deploy / "prometheus" / "rules.yml", deploy / "prometheus" / "prometheus.yml"
    before = {path: path.read_text() for path in (rules, config)}
    try:
        rules.write_text(re.sub(r"\n +for: \S+", "", before[rules]))
        config.write_text(before[config] + "  - job_name: stand-in\n    static_configs: [{targets: ['stand-in:9093']}]\n")
        (deploy / "stand_in.py").write_text(Path(__file__).with_name("alert_stand_in.py").read_text())
        (deploy / "broken.yaml").write_text(BROKEN)
        served.compose("-f", "deploy/broken.yaml", "up", "--detach", "--wait", "--no-deps", "stand-in", "prober")
        served.compose("kill", "--signal", "HUP", "prometheus")
        yield served
    finally:
        for path, content in before.items():
            path.write_text(content)
        served.compose("-f", "deploy/broken.yaml", "rm", "--stop", "--force", "stand-in", "prober")
        served.compose("up", "--detach", "--wait", "--no-deps", "prober")
        served.compose("kill", "--signal", "HUP", "prometheus")


def test_each_alert_of_the_platform_fires_when_what_it_watches_breaks(watched: StackForTests) -> None:
    until(lambda: firing(watched) == AT_ONCE, within_s=90, what="nothing fires but what is wrong from the beginning")
    admin = client(watched, "admin")
    listed = admin.list_objects_v2(Bucket="passerelle", Prefix="ledger/")["Contents"]  # type: ignore[attr-defined]
    key = next(each["Key"] for each in listed if re.search(r"/\d+\.jsonl?$", each["Key"]))
    entry = admin.get_object(Bucket="passerelle", Key=key)["Body"].read()  # type: ignore[attr-defined]
    admin.put_object(Bucket="passerelle", Key=key, Body=b"{}")  # type: ignore[attr-defined]
    assert watched.compose("-f", "deploy/broken.yaml", "exec", "-T", "prober", "python3", "-c", FILLED).strip() == "No space left on device"
    until(lambda: firing(watched) >= {*AT_ONCE, "LedgerDamaged", "DiskFull"}, within_s=90, what="ledger and disk")
    ids = {name: each["Id"] for name, each in watched.inspected().items()}
    # MLflow hangs, the others are gone.
    subprocess.run(["docker", "pause", ids["mlflow"]], check=True, capture_output=True, timeout=60)
    stopped = [ids[name] for name in ("postgres", "minio", "proxy", "service-1")]
    try:
        subprocess.run(["docker", "stop", "--time", "5", *stopped], check=True, capture_output=True, timeout=120)
        until(lambda: firing(watched) == AT_ONCE | BY_BREAKING, within_s=90, what="each alert fires")
        read = "import urllib.request as u; print(u.urlopen('http://stand-in:9093/received', timeout=5).read().decode())"

        def received() -> set[str]:
            return set(json.loads(watched.compose("-f", "deploy/broken.yaml", "exec", "-T", "prober", "python3", "-c", read)))

        until(lambda: received() >= AT_ONCE | BY_BREAKING, within_s=60, what="the Alertmanager is told of each")
    finally:
        subprocess.run(["docker", "unpause", ids["mlflow"]], check=True, capture_output=True, timeout=60)
        subprocess.run(["docker", "start", *stopped], check=True, capture_output=True, timeout=120)
        until(lambda: "StorageDown" not in firing(watched), within_s=90, what="MinIO is back")
        admin.put_object(Bucket="passerelle", Key=key, Body=entry)  # type: ignore[attr-defined]
    until(lambda: firing(watched) == {*AT_ONCE, "DiskFull"}, within_s=120, what="each alert ends with its cause")
    assert watched.ask().status_code == requests.codes.ok


def test_each_alert_is_fired_by_a_break_of_what_it_watches() -> None:
    """The others need time or traffic: rules.test.yml has them, and test_no_replica_is_an_alarm the replicas."""
    alerts = set(re.findall(r"- alert: (\w+)", (ROOT / "deploy" / "prometheus" / "rules.yml").read_text()))
    assert alerts >= AT_ONCE | BY_BREAKING | {"NoReplicaAnswers"}
    by_time = {"RequestsFail", "AnswersSlow", "ManyToReview", "VersionsDiffer", "ModelOld", "StorageAlmostFull", "DiskAlmostFull"}
    others = {"OtherStorageDown", "LedgerNotVerified", "ProberDown", "AlertsNotDelivered"}
    assert alerts == AT_ONCE | BY_BREAKING | {"NoReplicaAnswers"} | by_time | others
