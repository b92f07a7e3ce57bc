"""The collector beside the service: what it may reach, and that it collects until it is ended, and once more then."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml

from passerelle.monitoring.prediction_log.partitions import read_table
from passerelle.monitoring.prediction_log.trees import PREDICTIONS
from passerelle.platform.state import RunningPlatform
from passerelle.registry.log_bucket import LogBucket
from passerelle.retention_settings import RetentionSettings
from passerelle.rollout.cluster import find_cluster
from tests.few_packages import few_packages
from tests.unit.monitoring.prediction_log.log_files import MONDAY, prediction, prediction_id, write_lines

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]
FOLDER = "/var/lib/passerelle/predictions"
WITHIN_S = 60.0


def running(platform: RunningPlatform, log: Path, bucket: str) -> subprocess.Popen[str]:
    """Start the collector as its container does, with the packages that it has there."""
    s3 = platform.s3
    assert s3.secret_access_key is not None
    (log.parent / "secret").write_text(s3.secret_access_key.get_secret_value())
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(log.parent),
        "PYTHONPATH": few_packages(log.parent / "few", ROOT / "deploy/mlflow/requirements.txt"),
        "PASSERELLE_STATE_DIR": str(log.parent),
        "PASSERELLE_LOG_BUCKET": bucket,
        "PASSERELLE_LOG_DAYS": "36500",
        "PASSERELLE_LOG_COLLECT_INTERVAL_S": "1",
        "PASSERELLE_S3_ENDPOINT_URL": str(s3.endpoint_url),
        "PASSERELLE_S3_ACCESS_KEY_ID": str(s3.access_key_id),
        "S3_SECRET_FILE": str(log.parent / "secret"),
    }
    command = [sys.executable, str(ROOT / "deploy" / "mlflow" / "collect.py")]
    return subprocess.Popen(command, env=environment, cwd=log.parent, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_it_collects_until_it_is_ended_and_once_more_then(platform: RunningPlatform, tmp_path: Path) -> None:
    name, log = f"log-{uuid.uuid4().hex[:8]}", tmp_path / "predictions"
    bucket = LogBucket(platform.s3.model_copy(update={"bucket": name}), RetentionSettings.read({}).log_prefix)
    bucket._client.create_bucket(Bucket=name)
    first, last = prediction(prediction_id(MONDAY)), prediction(prediction_id(MONDAY))
    write_lines(log, "closed/predictions-1-7-1.jsonl", [first])
    collector = running(platform, log, name)
    try:
        deadline = time.monotonic() + WITHIN_S
        while not bucket.names("parquet/") and collector.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        write_lines(log, "closed/predictions-1-7-2.jsonl", [last])
        collector.send_signal(signal.SIGTERM)
        out, err = collector.communicate(timeout=WITHIN_S)
    finally:
        collector.kill()
    assert (collector.returncode, "Traceback" in err) == (0, False), err
    assert "sent to the bucket" in out
    assert read_table(bucket, PREDICTIONS, [MONDAY], ["prediction_id"]).num_rows == 2
    assert list((log / "closed").iterdir()) == []


def test_in_the_stack_it_has_a_user_of_its_own_and_the_replicas_folder() -> None:
    compose: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
    collector = compose["services"]["collector"]
    assert (collector["networks"], collector["secrets"]) == (["platform"], ["s3_collector"])
    assert collector["user"] == compose["services"]["service-1"]["user"]
    assert f"predictions:{FOLDER}" in collector["volumes"]
    assert collector["environment"]["PASSERELLE_PREDICTION_LOG"] == FOLDER
    assert collector["profiles"] == ["collector"], "it needs the code of an installation"
    for name in ("read_only", "cap_drop", "security_opt"):
        assert collector[name] == compose["x-hardened"][name]


def test_its_user_may_do_everything_with_the_logs_bucket_and_nothing_else() -> None:
    # The client of MinIO's users is in the image alone.
    absent = "sys.modules.update({f'minio{each}': MagicMock() for each in ('', '.credentials', '.error', '.minioadmin')})"
    code = f"import json, sys; from unittest.mock import MagicMock; {absent}; import prepare_s3; print(json.dumps(prepare_s3.USERS))"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "deploy" / "mlflow"), "S3_BUCKET": "ours"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60)
    users = json.loads(done.stdout)
    resources = {name: {each for statement in statements for each in statement["Resource"]} for name, statements in users.items()}
    assert resources["collector"] == {"arn:aws:s3:::ours-predictions", "arn:aws:s3:::ours-predictions/*"}
    assert {name for name, each in resources.items() if each & resources["collector"]} == {"collector", "workbench"}
    assert "s3:DeleteObjectVersion" in users["collector"][1]["Action"]


@pytest.mark.parametrize("overlay", ["development", "production"])
def test_in_a_cluster_it_is_a_sidecar_that_reaches_s3_and_the_dns(overlay: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "deploy" / "kubernetes", tmp_path / "deploy" / "kubernetes")
    with (tmp_path / "deploy" / "kubernetes" / "overlays" / overlay / "kustomization.yaml").open("a") as file:
        file.write(f"\ncomponents: [{os.pardir}/{os.pardir}/components/collector]\n")
    (before,) = [each for each in find_cluster(ROOT, overlay).objects if each["kind"] == "Deployment"]
    objects = find_cluster(tmp_path, overlay).objects
    (deployment,) = [each for each in objects if each["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    (sidecar,) = pod["initContainers"]
    assert sidecar["restartPolicy"] == "Always"
    assert pod["containers"] == before["spec"]["template"]["spec"]["containers"]
    assert sidecar["securityContext"] == pod["containers"][0]["securityContext"]
    assert FOLDER in {each["mountPath"] for each in sidecar["volumeMounts"]}
    assert {each["name"] for each in sidecar["volumeMounts"]} <= {each["name"] for each in pod["volumes"]} | {"predictions"}
    (policy,) = [each for each in objects if each["kind"] == "NetworkPolicy" and each["metadata"]["name"] == "classify-collector"]
    assert {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]} == {9000, 53}
    variables = {each["name"]: each["value"] for each in sidecar["env"] if each["name"].startswith("PASSERELLE_LOG_")}
    assert RetentionSettings.read(variables).log_bucket == "passerelle-predictions"
