"""A cluster has the alerts of the compose stack: the PrometheusRule is written from the same file, and the same series are scraped."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from passerelle.rollout.cluster import find_cluster
from tests.engine_fixtures import ROOT


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prometheus_rule", ROOT / "deploy" / "prometheus" / "prometheus_rule.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def without_actions(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the groups without what to type, which is another thing on a cluster."""
    for rule in (each for group in groups for each in group["rules"]):
        rule.get("annotations", {}).pop("action", None)
    return groups


def test_the_file_is_what_the_stacks_rules_give(generator: ModuleType) -> None:
    target = Path(generator.TARGET)
    assert target.read_text() == generator.prometheus_rule(), "python deploy/prometheus/prometheus_rule.py"


def test_the_overlay_has_the_rules_of_the_stack() -> None:
    objects = find_cluster(ROOT, "production").objects
    (rule,) = [each for each in objects if each["kind"] == "PrometheusRule"]
    actions = [
        each.get("annotations", {}).get("action", "")
        for group in rule["spec"]["groups"]
        for each in group["rules"]
        if group["name"] == "service"
    ]
    stack = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yml").read_text())["groups"]
    assert without_actions(rule["spec"]["groups"]) == without_actions(stack)
    assert not [action for action in actions if "compose" in action], "nobody has the stack beside a cluster"
    (monitor,) = [each for each in objects if each["kind"] == "ServiceMonitor"]
    (endpoint,) = monitor["spec"]["endpoints"]
    assert {"targetLabel": "job", "replacement": "service"} in endpoint["relabelings"], 'the rules ask for job="service"'
