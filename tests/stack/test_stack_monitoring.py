"""What watches the stack: valid rules, panels whose queries give figures, and an alarm that goes off."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from passerelle.rollout.stack_images import folder_digests
from tests.stack.stack_fixtures import ROOT, StackForTests, traffic, until

pytestmark = [pytest.mark.integration, pytest.mark.engine, pytest.mark.timeout(600)]
DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))


#: Of a profile and of a name that the stack of these tests has not; test_stack_alerts.py has their metrics.
NO_DATA = {"Age of the last backup", "Certificates expire in"}


def query(stack: StackForTests, expression: str) -> list[dict[str, Any]]:
    address = f"http://127.0.0.1:{stack.environment['PROMETHEUS_PORT']}/api/v1/query"
    answer = requests.get(address, params={"query": expression}, timeout=10).json()
    assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def test_promtool_takes_the_configuration_and_the_rules(stack: StackForTests) -> None:
    said = stack.compose("exec", "-T", "prometheus", "/bin/promtool", "check", "config", "/etc/prometheus/prometheus.yml")
    assert "SUCCESS" in said
    config = stack.compose("config", "--format", "json")
    assert json.loads(config)["name"] == stack.environment["COMPOSE_PROJECT_NAME"]


def test_each_alert_fires_where_it_should_and_only_there(stack: StackForTests) -> None:
    said = stack.compose("exec", "-T", "prometheus", "/bin/promtool", "test", "rules", "/etc/prometheus/rules.test.yml")
    assert "SUCCESS" in said
    groups = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yml").read_text())["groups"]
    tried = (ROOT / "deploy" / "prometheus" / "rules.test.yml").read_text()
    assert all(f'alertname="{rule["alert"]}"' in tried for group in groups for rule in group["rules"] if "alert" in rule)


def test_every_panel_and_rule_has_data_while_people_ask(served: StackForTests) -> None:
    headers = {"Authorization": f"Bearer {served.secret('api_key')}"}
    records = {"records": [{"text": "rue sans lumière"}, {"text": "merci"}]}
    with traffic(served):
        # Two scrapes are not enough for a rate over a minute that began before the counters were there.
        for _ in range(25):
            requests.post(f"{served.address}/classify/batch", json=records, headers=headers, timeout=10)
            time.sleep(1)
        empty: dict[str, object] = {}
        for path in DASHBOARDS:
            for panel in json.loads(path.read_text())["panels"]:
                for target in panel["targets"]:
                    found = query(served, target["expr"])
                    if not found or any(sample["value"][1] == "NaN" for sample in found):
                        empty[panel["title"]] = (target["expr"], found[:2])
        assert set(empty) == NO_DATA, empty
    rules = requests.get(f"http://127.0.0.1:{served.environment['PROMETHEUS_PORT']}/api/v1/rules", timeout=10).json()["data"]["groups"]
    assert [rule["name"] for group in rules for rule in group["rules"] if rule["health"] != "ok"] == []
    assert [target["labels"]["job"] for target in targets(served) if target["health"] != "up"] == []


def targets(stack: StackForTests) -> list[dict[str, Any]]:
    address = f"http://127.0.0.1:{stack.environment['PROMETHEUS_PORT']}/api/v1/targets"
    found: list[dict[str, Any]] = requests.get(address, timeout=10).json()["data"]["activeTargets"]
    return found


def test_every_alert_says_what_to_do() -> None:
    groups = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yml").read_text())["groups"]
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    assert len(alerts) >= 8
    for alert in alerts:
        assert alert["annotations"]["summary"]
        assert alert["annotations"]["action"]
        assert alert["labels"]["severity"] in ("critical", "warning", "info")


def test_no_replica_is_an_alarm(served: StackForTests) -> None:
    def state() -> set[str]:
        return {sample["metric"]["alertstate"] for sample in query(served, 'ALERTS{alertname="NoReplicaAnswers"}')}

    assert state() == set()
    served.compose("stop", "service-1", "service-2")
    try:
        until(lambda: state() == {"firing"}, within_s=120, what="the alarm fires")
        answer = served.ask()
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    finally:
        served.compose("up", "--detach", "--wait")
    until(lambda: state() == set(), within_s=60, what="the alarm ends")
    assert served.ask().status_code == 200


def test_grafana_finds_what_is_provisioned() -> None:
    """Its image is not run where no registry is reached: what it reads is held to what the stack mounts."""
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
    mounts = {volume["target"]: volume["source"] for volume in compose["services"]["grafana"]["volumes"] if isinstance(volume, dict)}
    provider = yaml.safe_load((ROOT / "deploy/grafana/provisioning/dashboards/passerelle.yaml").read_text())["providers"][0]
    assert Path(mounts[provider["options"]["path"]]).name == "dashboards"
    source = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"][0]
    uids = {
        target["datasource"]["uid"]
        for path in DASHBOARDS
        for panel in json.loads(path.read_text())["panels"]
        for target in panel["targets"]
    }
    assert uids == {source["uid"]}
    assert source["url"] == "http://prometheus:9090"
    identities = [panel["id"] for path in DASHBOARDS for panel in json.loads(path.read_text())["panels"]]
    assert len(identities) == len(set(identities))


def test_the_proxys_configuration_is_in_its_own_format() -> None:
    image = json.loads(
        subprocess.run(
            ["docker", "compose", "-f", str(ROOT / "deploy" / "compose.yaml"), "config", "--format", "json"],
            env={**os.environ, **folder_digests(ROOT / "deploy")}, capture_output=True, text=True, check=True, timeout=60,
        ).stdout
    )["services"]["proxy"]["image"]  # fmt: skip
    formatted = ["docker", "run", "--rm", image, "fmt", "--diff", "/etc/caddy/Caddyfile"]
    said = subprocess.run(formatted, capture_output=True, text=True, check=False, timeout=60)
    assert said.returncode == 0, said.stdout
    for address in ("classify.example.org", "http://:8080"):
        validate = ["docker", "run", "--rm", "--env", f"SITE_ADDRESS={address}", image, "validate", "--config", "/etc/caddy/Caddyfile"]
        valid = subprocess.run(validate, capture_output=True, text=True, check=False, timeout=60)
        assert valid.returncode == 0, valid.stderr
