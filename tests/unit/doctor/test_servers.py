"""What is said of servers that answer otherwise than passerelle needs it: MLflow, S3 and the service."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from passerelle.client_settings import ClientSettings
from passerelle.doctor import live_service, mlflow_api, object_storage, promotions_ledger
from passerelle.doctor.diagnosis import Diagnosis, Health
from passerelle.errors import OutsideError
from passerelle.registry.objects import Objects
from passerelle.settings import S3Settings
from tests.unit.doctor.surroundings import surroundings

Answer = tuple[int, str]
NOWHERE = "http://127.0.0.1:9"


@contextmanager
def answering(answer: Callable[[str, Mapping[str, str]], Answer], headers: Mapping[str, str] | None = None) -> Iterator[str]:
    """Yield the address of a server that gives these answers, by path and headers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body = answer(self.path, dict(self.headers))
            self.send_response_only(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body.encode())

        do_POST = do_PUT = do_HEAD = do_DELETE = do_GET  # noqa: N815 - the base class looks them up by these names

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def by_subject(found: Iterator[Diagnosis]) -> dict[str, Diagnosis]:
    return {each.subject: each for each in found}


def mlflow(path: str, api: Answer) -> Answer:
    if path.startswith("/health"):
        return 200, "OK"
    return (200, "3.17.2") if path.startswith("/version") else api


@pytest.mark.parametrize(
    ("api", "subject", "words"),
    [
        ((401, "who?"), "MLflow user", "it refuses this user (401)"),
        ((403, "Invalid Host header - possible DNS rebinding attack detected"), "MLflow hosts", "it refuses the name 127.0.0.1:"),
        ((500, "no such column"), "MLflow schema", "its database may be of another version"),
        ((404, "{}"), "MLflow schema", "it is too old"),
    ],
)
def test_what_an_mlflow_refuses_is_told_apart(tmp_path: Path, api: Answer, subject: str, words: str) -> None:
    with answering(lambda path, _: mlflow(path, api)) as address:
        found = by_subject(mlflow_api.probe(surroundings(tmp_path, address)))
    assert found["MLflow"].health is Health.FINE
    assert (found[subject].health, words in found[subject].message) == (Health.FAULT, True), found
    assert found[subject].hint


def test_an_mlflow_that_answers_under_any_name_or_with_pages_is_warned_of(tmp_path: Path) -> None:
    with answering(lambda path, _: mlflow(path, (200, "{}"))) as address:
        found = by_subject(mlflow_api.probe(surroundings(tmp_path, address)))
    assert (found["MLflow hosts"].health, found["MLflow artifacts"].health) == (Health.WARNING, Health.NOT_TRIED)
    with answering(lambda path, _: (200, "OK" if path.startswith("/health") else "<html>sign in</html>")) as address:
        found = by_subject(mlflow_api.probe(surroundings(tmp_path, address)))
    assert (found["MLflow"].health, "another program" in found["MLflow"].message) == (Health.WARNING, True)
    with answering(lambda *_: (200, "<html>sign in</html>")) as address, pytest.raises(OutsideError, match="a web page answers at"):
        by_subject(mlflow_api.probe(surroundings(tmp_path, address)))


@pytest.mark.parametrize(
    ("location", "health", "words"),
    [
        ("s3://elsewhere/mlflow/1", Health.FAULT, "the setting names passerelle"),
        ("/nowhere/at/all", Health.FAULT, "which is not reached from here"),
    ],
)
def test_artifacts_that_are_not_reached_from_here_are_said(tmp_path: Path, location: str, health: Health, words: str) -> None:
    experiment = json.dumps({"experiment": {"artifact_location": location}})
    with answering(lambda path, _: mlflow(path, (200, experiment))) as address:
        found = by_subject(mlflow_api.probe(surroundings(tmp_path, address)))["MLflow artifacts"]
    assert (found.health, words in found.message) == (health, True), found


LISTED = "<ListBucketResult><Name>passerelle</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>"


def s3(address: str) -> S3Settings:
    return S3Settings.read({}, endpoint_url=address, access_key_id="team", secret_access_key="not to be shown")


def test_an_s3_with_another_clock_that_everybody_may_list_and_that_ignores_conditions(tmp_path: Path) -> None:
    def answer(path: str, _: Mapping[str, str]) -> Answer:
        return 200, "" if "versioning" in path else LISTED

    with answering(answer, {"Date": "Tue, 01 Jan 2030 00:00:00 GMT", "ETag": '"1"'}) as address:
        found = by_subject(object_storage.probe(surroundings(tmp_path, address, s3=s3(address), write_test=True)))
    assert found["S3 clock"].health is Health.FAULT
    assert found["S3 versions"].hint is not None
    assert "put_bucket_versioning" in found["S3 versions"].hint
    assert "everybody may list the bucket passerelle without a key" in found["S3 rights"].message
    assert "writes whatever If-None-Match and If-Match asks for" in found["S3 conditional writes"].message
    assert found["S3 writes"].message.endswith("leaves 'UploadId' out of its answer: it may be another program")
    assert "not to be shown" not in repr(found)


def test_a_key_that_may_not_write_is_one_fault_and_that_of_the_prediction_log_is_no_other_bucket(tmp_path: Path) -> None:
    denied = "<Error><Code>AccessDenied</Code></Error>"

    def answer(path: str, headers: Mapping[str, str]) -> Answer:
        if ".passerelle" in path:
            return 403, denied
        buckets = "<ListAllMyBucketsResult><Buckets><Bucket><Name>the-log</Name></Bucket></Buckets></ListAllMyBucketsResult>"
        return (403, denied) if "Authorization" not in headers else (200, buckets if path.startswith("/?") or path == "/" else LISTED)

    log = {"PASSERELLE_LOG_BUCKET": "the-log"}
    with answering(answer, {"Date": "Tue, 01 Jan 2030 00:00:00 GMT"}) as address:
        found = list(object_storage.probe(surroundings(tmp_path, address, s3=s3(address), write_test=True, environment=log)))
    faults = [each.subject for each in found if each.health is Health.FAULT]
    assert faults == ["S3 clock", "S3 writes"]
    assert by_subject(iter(found))["S3 rights"].health is Health.FINE


def test_a_page_in_the_place_of_an_s3_is_no_empty_bucket() -> None:
    page = (200, "<html>sign in</html>")
    with answering(lambda *_: page, {"Content-Type": "text/html"}) as address, pytest.raises(OutsideError, match="a web page answers at"):
        Objects(s3(address)).check()


def test_servers_that_are_off_are_faults_and_what_needs_them_was_not_tried(tmp_path: Path) -> None:
    client = ClientSettings.read({}, service_address=NOWHERE)
    off = surroundings(tmp_path, NOWHERE, s3=s3(NOWHERE), client=client, registered_models=("classification",))
    (ledger,) = promotions_ledger.probe(off)
    (service,) = live_service.probe(off)
    assert (ledger.health, service.health) == (Health.NOT_TRIED, Health.FAULT)
    assert "MLflow does not answer" in ledger.message
    alone = surroundings(tmp_path)
    assert [each.health for each in mlflow_api.probe(alone)] == [Health.FAULT]
    assert [each.health for each in object_storage.probe(alone)] == [Health.NOT_TRIED]


def test_a_service_with_an_old_version_or_another_key_is_said(tmp_path: Path) -> None:
    def answer(path: str, headers: Mapping[str, str]) -> Answer:
        if path == "/readyz":
            return 200, '{"model_version": "1"}'
        if path.startswith("/api/"):
            return 200, '{"model_version": {"version": "2"}}'
        return (200, "") if headers.get("Authorization") == "Bearer right" else (401, "")

    with answering(answer) as address:
        client = ClientSettings.read({}, service_address=address, api_key="wrong")
        version, key = live_service.probe(surroundings(tmp_path, address, client=client))
    assert "answers with version 1, and version 2" in version.message
    assert (version.health, key.health) == (Health.WARNING, Health.FAULT)
    assert "wrong" not in key.message
