"""What prepares the bucket of another S3 than MinIO: its region, its errors in its own words, and one that cannot keep versions."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
import yaml
from botocore.config import Config

from passerelle.platform.seaweed import s3_server
from tests.engine_fixtures import ROOT

pytestmark = pytest.mark.integration
#: The client of MinIO's users is in the image alone; another S3 needs none of it.
ABSENT = {"": "", "credentials": "StaticProvider", "error": "MinioAdminException", "minioadmin": "MinioAdmin"}


def prepared(folder: Path, endpoint: str, key_id: str, secret: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the job as the stack does."""
    (folder / "minio").mkdir(exist_ok=True)
    for module, name in ABSENT.items():
        (folder / "minio" / f"{module or '__init__'}.py").write_text(f"class {name}(Exception): pass\n" if name else "")
    (folder / "secret").write_text(secret)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3_"))} | {
        "PYTHONPATH": str(folder), "S3_ENDPOINT_URL": endpoint, "S3_ACCESS_KEY_ID": key_id, "S3_SECRET_FILE": str(folder / "secret"),
        "S3_BUCKET": "ours", **variables,
    }  # fmt: skip
    command = [sys.executable, str(ROOT / "deploy" / "mlflow" / "prepare_s3.py")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=100)


Answer = tuple[int, str]


@contextmanager
def s3_that_says(answers: Callable[[str, str], Answer]) -> Iterator[tuple[str, list[str]]]:
    """Yield the address of a server that answers as an S3 does, and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            asked.append(f"{self.command} {self.path} {self.headers.get('Authorization', '')} {body}")
            status, code = answers(self.command, self.path)
            content = f"<Error><Code>{code}</Code><Message>as it says</Message></Error>".encode() if code else b""
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_PUT = do_HEAD = do_GET  # noqa: N815 - the base class looks them up by these names

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()


def test_a_bucket_is_made_and_versioned_in_a_real_one(tmp_path: Path) -> None:
    child, s3 = s3_server(tmp_path / "weed", tmp_path)
    child.start()
    try:
        child.wait_until_healthy(90)
        key = (str(s3.access_key_id), s3.secret_access_key.get_secret_value() if s3.secret_access_key else "")
        for _ in range(2):
            said = prepared(tmp_path, str(s3.endpoint_url), *key)
            assert said.returncode == 0, said.stderr
            assert "bucket ours" in said.stderr
            assert said.stderr.strip().endswith(", versioned")
        client = boto3.client(
            "s3", endpoint_url=s3.endpoint_url, aws_access_key_id=key[0], aws_secret_access_key=key[1], region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )  # fmt: skip
        assert client.get_bucket_versioning(Bucket="ours")["Status"] == "Enabled"
        unknown = prepared(tmp_path, str(s3.endpoint_url), "nobody", key[1])
        assert (unknown.returncode, "refuses the key nobody (InvalidAccessKeyId" in unknown.stderr) == (1, True), unknown.stderr
    finally:
        child.stop()


def test_its_region_is_asked_for_and_signed_with(tmp_path: Path) -> None:
    def answers(command: str, path: str) -> Answer:
        return (404, "NoSuchBucket") if command == "GET" else (200, "")

    with s3_that_says(answers) as (address, asked):
        assert prepared(tmp_path, address, "team", "secret", S3_REGION="eu-west-3").returncode == 0
        made = next(each for each in asked if each.startswith("PUT /ours "))
        assert "<LocationConstraint>eu-west-3</LocationConstraint>" in made
        assert all("/eu-west-3/s3/" in each for each in asked)
        asked.clear()
        assert prepared(tmp_path, address, "team", "secret").returncode == 0
        assert not any("LocationConstraint" in each for each in asked)


def test_one_without_versions_is_taken_with_a_warning(tmp_path: Path) -> None:
    with s3_that_says(lambda _, path: (501, "NotImplemented") if "versioning" in path else (200, "")) as (address, _):
        said = prepared(tmp_path, address, "team", "secret")
    assert (said.returncode, "warning: this S3 has no versioning" in said.stderr) == (0, True), said.stderr
    assert said.stderr.strip().endswith(", not versioned")


def test_a_lifecycle_rule_that_it_does_not_know_is_told_in_one_sentence(tmp_path: Path) -> None:
    with s3_that_says(lambda command, path: (400, "MalformedXML") if (command, "lifecycle" in path) == ("PUT", True) else (200, "")) as (
        address,
        asked,
    ):
        said = prepared(tmp_path, address, "team", "secret")
    assert said.returncode == 0, said.stderr
    assert said.stderr.count("warning: this S3 takes no lifecycle rule (MalformedXML)") == 1
    assert said.stderr.strip().endswith(", versioned")
    given = [each for each in asked if each.startswith("PUT") and "lifecycle" in each]
    assert ["unfinished-uploads" in each for each in given] == [True, False], "the one rule that it may know is tried by itself"


def test_a_right_that_is_missing_is_told_at_once_and_in_its_own_words(tmp_path: Path) -> None:
    with s3_that_says(lambda command, _: (200, "") if command == "GET" else (403, "AccessDenied")) as (address, asked):
        said = prepared(tmp_path, address, "team", "secret")
    assert said.returncode == 1
    assert "refuses PutBucketVersioning on the bucket ours to the key team (AccessDenied: as it says)" in said.stderr
    assert not any(each.startswith("GET / ") for each in asked), "the key need not have the right to list all buckets"


def test_the_stack_hands_the_region_on() -> None:
    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
    assert services["setup"]["environment"]["S3_REGION"] == services["mlflow"]["environment"]["AWS_DEFAULT_REGION"]


@pytest.mark.parametrize(
    ("question", "command", "said"),
    [
        ((404, "ObjectLockConfigurationNotFoundError"), (200, ""), "object lock is on"),
        ((404, "ObjectLockConfigurationNotFoundError"), (409, "InvalidBucketState"), "no object lock and gets none (InvalidBucketState)"),
        ((403, "AccessDenied"), (403, "AccessDenied"), "no object lock and gets none (AccessDenied)"),
        ((501, "NotImplemented"), (501, "NotImplemented"), "no object lock and gets none (NotImplemented)"),
    ],
)
def test_a_bucket_from_before_gets_object_lock_where_the_s3_gives_it_later(
    tmp_path: Path, question: Answer, command: Answer, said: str
) -> None:
    def answers(method: str, path: str) -> Answer:
        return {"GET": question, "PUT": command}[method] if "object-lock" in path else (200, "")

    with s3_that_says(answers) as (address, _):
        done = prepared(tmp_path, address, "team", "secret")
    assert (done.returncode, done.stderr.count(said)) == (0, 1), done.stderr
    assert done.stderr.strip().endswith(", versioned")
