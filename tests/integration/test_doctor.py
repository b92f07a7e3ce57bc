"""`passerelle doctor` beside real servers: a healthy platform, one with planted faults, and a cluster that refuses a right."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from passerelle.cli.main import passerelle
from passerelle.doctor import cluster_rights
from passerelle.doctor.diagnosis import Health
from passerelle.registry.client import Registry
from passerelle.registry.ledger import Ledger
from tests.platform_fixtures import RegisteredForTests, moved
from tests.signing_fixtures import Keys
from tests.unit.doctor.surroundings import surroundings

pytestmark = pytest.mark.integration
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def registry(registered: RegisteredForTests, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Registry:
    """A registered model of its own with one promotion, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    made = registered.named(monkeypatch, tmp_path)
    monkeypatch.setenv("PASSERELLE_EXPERIMENT", made.settings.experiment)
    moved(made, registered.register(made))
    return made


def examined(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, list[dict[str, Any]]], str]:
    """Return the exit code, the diagnoses by subject, and what was printed."""
    code = 0
    try:
        passerelle.main(["doctor", "--json", "--timeout", "120", *options], standalone_mode=False)
    except SystemExit as end:
        code = int(str(end.code))
    printed = capsys.readouterr().out
    found: dict[str, list[dict[str, Any]]] = {}
    for each in json.loads(printed)["diagnoses"]:
        found.setdefault(each["subject"], []).append(each)
    return code, found, printed


def test_a_healthy_platform_has_no_fault_and_is_as_before(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    before = registry.objects.keys("")
    code, found, _ = examined(capsys, "--write-test")
    assert code == 0, found
    assert registry.objects.keys("") == before
    tried = ("S3 clock", "S3 listing", "S3 conditional writes", "S3 uploads in parts", "MLflow", "MLflow hosts", "MLflow schema",
             "MLflow artifacts", "ledger")  # fmt: skip
    assert {each["health"] for subject in tried for each in found[subject]} == {"fine"}, found
    # Buckets of other tests of the same platform may be named there, and the log's own may not.
    assert "passerelle-predictions" not in found["S3 rights"][0]["message"]
    assert found["ledger"][0]["message"].endswith("1 entry, none changed, removed or inserted")


@pytest.fixture
def planted(registry: Registry, ours: Keys, theirs: Keys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Registry:
    """The same with a fault in the ledger, the keys, the authorities, the store, the service's address and the keys that sign."""
    key = Ledger(registry.objects, registry.settings.registered_model).key(1)
    content, tag = registry.objects.read(key)
    registry.objects.replace(key, content.replace(b"test@here", b"marie@bureau"), entity_tag=tag)
    (tmp_path / "keys.json").write_text('{"keys": [{"name": "ci"}]}')
    (tmp_path / "keys.json").chmod(0o600)
    (tmp_path / "ca.pem").write_text("<html>sign in first</html>")
    (tmp_path / "bentoml" / "models" / "comments" / "1-abc").mkdir(parents=True)
    for name, value in {
        "PASSERELLE_KEYS_FILE": "keys.json", "AWS_CA_BUNDLE": str(tmp_path / "ca.pem"), "PASSERELLE_SERVICE_ADDRESS": NOWHERE,
        "PASSERELLE_SIGNING_KEY": str(ours.private), "PASSERELLE_VERIFY_KEY": str(theirs.public),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    return registry


def test_six_planted_faults_are_found_with_what_mends_them(planted: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    code, found, printed = examined(capsys)
    faults = {subject for subject, said in found.items() if any(each["health"] == "fault" for each in said)}
    assert code == 1
    assert faults == {"secrets", "certificates", "ledger", "signature keys", "BentoML store", "service"}
    assert all(each["hint"] for said in found.values() for each in said if each["health"] == "fault")
    secret = planted.objects.settings.secret_access_key
    assert secret is not None
    assert secret.get_secret_value() not in printed


@pytest.mark.usefixtures("plain_environment")
def test_wrong_keys_are_a_fault_and_the_ledger_was_not_tried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    code, found, _ = examined(capsys, "--write-test")
    assert (code, found["S3"][0]["health"], found["ledger"][0]["health"]) == (1, "fault", "not tried")
    assert "refuses these keys" in found["S3"][0]["message"]
    assert found["MLflow schema"][0]["health"] == "fine"


KUBECTL = """#!/bin/sh
case "$*" in
  *current-context*) echo team;;
  *version*) test -z "$DOWN" && echo '{"serverVersion": {"gitVersion": "v1.33.1"}}' || { echo "no route to host" >&2; exit 1; };;
  *kustomize*) cat RENDERED;;
  *all-namespaces*) echo no;;
  *" create "*) cat RULES;;
esac
"""


#: As a cluster answers a SelfSubjectRulesReview.
RULES = [
    {"verbs": ["get", "create"], "apiGroups": ["apps"], "resources": ["deployments"]},
    {"verbs": ["*"], "apiGroups": [""], "resources": ["pods", "pods/exec", "pods/log", "secrets"]},
]
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "classify", "namespace": "team"},
    "spec": {"template": {"metadata": {}, "spec": {"containers": [{"name": "classify", "image": "classify"}]}}},
}


def test_a_right_that_a_deployment_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deploy" / "kubernetes" / "overlays" / "development").mkdir(parents=True)
    (rendered := tmp_path / "rendered").write_text(yaml.safe_dump(DEPLOYMENT))
    (tool := tmp_path / "bin" / "kubectl").parent.mkdir()
    (rules := tmp_path / "rules").write_text(json.dumps({"status": {"resourceRules": RULES}}))
    tool.write_text(KUBECTL.replace("RENDERED", str(rendered)).replace("RULES", str(rules)))
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    answers, lacks = cluster_rights.probe(surroundings(tmp_path))
    assert answers.message == "Kubernetes v1.33.1 answers by the context team"
    assert (lacks.health, lacks.message) == (Health.FAULT, "this user may not patch deployments in the namespace team")
    tool.write_text("#!/bin/sh\nDOWN=1\n" + KUBECTL)
    (down,) = cluster_rights.probe(surroundings(tmp_path))
    assert (down.health, "no route to host" in down.message) == (Health.FAULT, True)
