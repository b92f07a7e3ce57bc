"""The scheduled backup as its container makes it: with the packages of that image and no others."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import boto3
import pytest

from passerelle.platform.state import RunningPlatform
from passerelle.rollout.backup_encryption import make_identity
from tests.few_packages import ROOT, few_packages

pytestmark = pytest.mark.integration
WITHIN_S = 60.0


def answer_once(exchange: Path) -> None:
    """Write a dump where one is asked for, as `deploy/backup/dump.sh` does beside PostgreSQL."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        for request in exchange.glob("request.*"):
            (exchange / "origin").write_text("17\nof-now\n")
            (exchange / ".part").write_bytes(b"dump")
            (exchange / ".part").rename(exchange / request.name.replace("request", "dump"))
            return
        time.sleep(0.05)


def test_it_is_made_with_the_packages_of_the_image(platform: RunningPlatform, tmp_path: Path) -> None:
    s3, name = platform.s3, f"backup-{uuid.uuid4().hex[:8]}"
    assert s3.secret_access_key is not None
    secret = s3.secret_access_key.get_secret_value()
    session = boto3.Session(s3.access_key_id, secret, region_name="us-east-1")
    client = session.client("s3", endpoint_url=s3.endpoint_url)
    client.create_bucket(Bucket=name)
    for key in ("mlflow/1/artifacts/a", "ledger/m/000001.jsonl"):
        client.put_object(Bucket=name, Key=key, Body=b"{}")
    (tmp_path / "exchange").mkdir()
    (tmp_path / "secret").write_text(secret)
    recipient = make_identity(tmp_path / "backup.key")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": few_packages(tmp_path / "few", ROOT / "deploy/mlflow/requirements.txt"),
        "BACKUP_FOLDER": str(tmp_path),
        "BACKUP_RECIPIENTS": recipient,
        "PASSERELLE_STATE_DIR": str(tmp_path / "state"),
        "PASSERELLE_S3_BUCKET": name,
        "PASSERELLE_S3_ENDPOINT_URL": str(s3.endpoint_url),
        "PASSERELLE_S3_ACCESS_KEY_ID": str(s3.access_key_id),
        "S3_SECRET_FILE": str(tmp_path / "secret"),
    }
    database = threading.Thread(target=answer_once, args=(tmp_path / "exchange",), daemon=True)
    database.start()
    command = [sys.executable, str(ROOT / "deploy" / "mlflow" / "back_up.py"), "--once"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=WITHIN_S)
    assert done.returncode == 0, done.stderr
    (made,) = tmp_path.glob("passerelle-*")
    assert made.read_bytes().startswith(b"age-encryption.org/")
    assert "2 objects" in done.stderr
