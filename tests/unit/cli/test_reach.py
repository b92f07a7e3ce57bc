"""`demo` and `up` work on their own platform, whatever the shell points at."""

from __future__ import annotations

import pytest

from passerelle.cli.connect import reach
from passerelle.settings import MlflowSettings, S3Settings

PLATFORM = {
    "MLFLOW_TRACKING_URI": "http://127.0.0.1:5001",
    "MLFLOW_S3_ENDPOINT_URL": "http://127.0.0.1:9001",
    "AWS_ACCESS_KEY_ID": "own",
    "AWS_SECRET_ACCESS_KEY": "own",
    "AWS_DEFAULT_REGION": "us-east-1",
}


def test_the_shells_own_servers_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PLATFORM:
        monkeypatch.setenv(name, "of-the-shell")
    for name in ("TRACKING_URI", "S3_ENDPOINT_URL", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "S3_REGION"):
        monkeypatch.setenv(f"PASSERELLE_{name}", "https://production.example.org")
    reach(PLATFORM)
    assert MlflowSettings.read().tracking_uri == PLATFORM["MLFLOW_TRACKING_URI"]
    s3 = S3Settings.read()
    assert (s3.endpoint_url, s3.access_key_id, s3.region) == (PLATFORM["MLFLOW_S3_ENDPOINT_URL"], "own", "us-east-1")
