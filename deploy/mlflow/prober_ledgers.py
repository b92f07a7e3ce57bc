"""Verify each registered model's ledger again and again, as `passerelle history --verify` does, by a key that only reads."""

import json
import os
import subprocess
import sys
import time
from urllib.parse import unquote

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from prometheus_client import Gauge
from secret import say, secret

INTERVAL_S = float(os.environ.get("LEDGER_VERIFY_INTERVAL_S") or 3600)
#: After a failure: MLflow or the S3 may be away for a moment.
SOONER_S = 60.0
_TIMEOUT_S = 900
_PREFIX = "ledger/"
#: Exit code of passerelle for a ledger that is not as it was written.
_DAMAGED = 1
#: How it answers that neither MLflow nor the S3 holds anything of a model.
_UNKNOWN = '{"error": {"code": "not_found"'

FAULTS = Gauge("passerelle_ledger_faults", "Faults that its last verification found.", ["registered_model"])
VERIFIED = Gauge("passerelle_ledger_verified_timestamp_seconds", "When it was verified last, with or without faults.", ["registered_model"])
ALL_VERIFIED = Gauge(
    "passerelle_ledgers_verified_timestamp_seconds", "When all of them were verified last; until that was done, when the prober started."
)


def watch_ledgers() -> None:
    """Verify all ledgers, wait, and again, for as long as the process lives."""
    environment = _environment()
    # Where none can even be listed, as with a wrong key, no ledger has a time of its own that could get old.
    ALL_VERIFIED.set(time.time())
    while True:
        whole = _all_verified(environment)
        if whole:
            ALL_VERIFIED.set(time.time())
        time.sleep(INTERVAL_S if whole else min(SOONER_S, INTERVAL_S))


def _all_verified(environment: "dict[str, str]") -> bool:
    """Verify each ledger, also after one that could not be, and return whether all could."""
    results = [_verified(name, environment) for name in _models(environment)]
    return all(results)


def _environment() -> "dict[str, str]":
    return {
        **os.environ,
        "AWS_SECRET_ACCESS_KEY": secret("S3_SECRET"),
        "MLFLOW_TRACKING_PASSWORD": secret("MLFLOW_PROBER"),
    }


def _models(environment: "dict[str, str]") -> "list[str | None]":
    """Return the registered models that have a ledger; one unknown one where the S3 does not say."""
    client = boto3.client(
        "s3", endpoint_url=environment["PASSERELLE_S3_ENDPOINT_URL"], region_name=environment["PASSERELLE_S3_REGION"],
        aws_access_key_id=environment["PASSERELLE_S3_ACCESS_KEY_ID"], aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        config=Config(s3={"addressing_style": "path"}, connect_timeout=3, read_timeout=10, retries={"max_attempts": 1}),
    )  # fmt: skip
    try:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=environment["PASSERELLE_S3_BUCKET"], Prefix=_PREFIX, Delimiter="/")
        folders = [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", ())]
    except (BotoCoreError, ClientError) as error:
        say(f"the ledgers cannot be listed: {error}")
        return [None]
    return [unquote(folder.removeprefix(_PREFIX).rstrip("/")) for folder in folders]


def _verified(name: "str | None", environment: "dict[str, str]") -> bool:
    """Return whether the ledger could be verified, whatever was found."""
    if name is None:
        return False
    # In a process of its own: what it loads is given back.
    command = [sys.executable, "-m", "passerelle", "history", "--verify", "--json", "--model", name]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        say(f"the ledger of {name} cannot be verified: that took longer than {_TIMEOUT_S} s")
        return False
    if done.stdout.startswith(_UNKNOWN):
        # MinIO lists a folder whose objects are all deleted; MLflow knows no such model either.
        return True
    if done.returncode not in (0, _DAMAGED) or not done.stdout.startswith('{"registered_model"'):
        say(f"the ledger of {name} cannot be verified: {_reason(done.stdout, done.stderr)}")
        return False
    found = json.loads(done.stdout)
    faults = len(found.get("findings", ())) + len(found.get("differences", ()))
    if faults:
        say(f"the ledger of {name} has {faults} faults; next: passerelle history --verify --model {name}")
    FAULTS.labels(name).set(faults)
    VERIFIED.labels(name).set(time.time())
    return True


def _reason(out: str, err: str) -> str:
    """Return what a command that failed gives as the reason: its answer, or the error at the end of a traceback."""
    if "Traceback (most recent call last):" in err:
        return err.strip().splitlines()[-1][:500]
    return (out or err).strip()[:500]
