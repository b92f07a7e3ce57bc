"""Which rights a deployment lacks, by the rules that the cluster says this user has."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from passerelle.doctor.cluster_rights import allows, resource

ROLE = yaml.safe_load((Path(__file__).resolve().parents[3] / "deploy/kubernetes/deployer/role.yaml").read_text())["rules"]
ALL = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]


@pytest.mark.parametrize(
    ("kind", "version", "name"),
    [
        ("Ingress", "networking.k8s.io/v1", "ingresses.networking.k8s.io"),
        ("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies.networking.k8s.io"),
        ("Deployment", "apps/v1", "deployments.apps"),
        ("Service", "v1", "services"),
        ("ServiceMonitor", "monitoring.coreos.com/v1", "servicemonitors.monitoring.coreos.com"),
    ],
)
def test_a_kind_is_asked_for_by_the_name_that_rights_are_given_by(kind: str, version: str, name: str) -> None:
    of = {"kind": kind, "apiVersion": version}
    assert resource(of) == name
    assert allows(ROLE, "patch", resource(of)), "the role that comes with a project is enough"


@pytest.mark.parametrize(
    ("verb", "name", "allowed"),
    [
        ("create", "pods/exec", True),
        ("get", "pods/log", True),
        ("create", "pods/log", False),
        ("delete", "secrets", False),
        ("get", "secrets", True),
        ("get", "deployments", False),
        ("get", "nodes", False),
    ],
)
def test_rules_allow_what_they_name_and_nothing_else(verb: str, name: str, allowed: bool) -> None:
    assert allows(ROLE, verb, name) is allowed
    assert allows(ALL, verb, name)
    assert not allows([], verb, name)


def test_a_rule_for_named_objects_is_not_one_for_all() -> None:
    rules = [{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["classify-keys"]}]
    assert not allows(rules, "get", "secrets")
    assert allows([{"verbs": ["get"], "apiGroups": [""], "resources": ["*/log"]}], "get", "pods/log")
