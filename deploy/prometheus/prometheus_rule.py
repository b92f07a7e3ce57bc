"""Write the PrometheusRule of the production overlay from the rules of the compose stack: python deploy/prometheus/prometheus_rule.py"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

RULES = Path(__file__).resolve().parent / "rules.yml"
TARGET = Path(__file__).resolve().parents[1] / "kubernetes" / "overlays" / "production" / "prometheus-rule.yaml"
#: What to type on a cluster in place of what to type beside the stack.
ACTIONS = {
    "docker compose -f deploy/compose.yaml logs service-1 service-2": "kubectl --namespace passerelle logs --selector"
    " app.kubernetes.io/name=classify --tail 50",
    "docker compose -f deploy/compose.yaml ps --all": "kubectl --namespace passerelle get pods",
    "SERVICE_CPUS, SERVICE_WORKERS": "the limits and PASSERELLE_WORKERS of the overlay",
    "passerelle deploy --target compose": "passerelle deploy --target kubernetes --overlay production",
}


def prometheus_rule() -> str:
    """Return the object as text: the groups of the stack's rules, with the actions of a cluster."""
    groups: list[dict[str, Any]] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    for rule in (each for group in groups for each in group["rules"]):
        for former, action in ACTIONS.items():
            if former in rule.get("annotations", {}).get("action", ""):
                rule["annotations"]["action"] = rule["annotations"]["action"].replace(former, action)
    lines = [
        f"    - name: {group['name']}\n      rules:\n" + "".join(f"        - {_one_line(rule)}\n" for rule in group["rules"])
        for group in groups
    ]
    head = "# Written by deploy/prometheus/prometheus_rule.py from deploy/prometheus/rules.yml; change that file and run it again.\n"
    object_head = "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: classify}\nspec:\n  groups:\n"
    return head + object_head + "".join(lines)


def _one_line(rule: dict[str, Any]) -> str:
    """Return a rule as JSON, which is YAML too: one line a rule, so that a change of one shows as one line."""
    return json.dumps(rule, ensure_ascii=False)


if __name__ == "__main__":
    TARGET.write_text(prometheus_rule(), encoding="utf-8")
