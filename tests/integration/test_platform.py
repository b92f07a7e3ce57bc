"""The embedded platform: real servers that live and end together, and data that outlives them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import mlflow
import psutil
import pytest
import requests

from passerelle.errors import BusyError, OutsideError
from passerelle.platform import state
from passerelle.platform.embedded import EmbeddedPlatform
from passerelle.platform.registry_api import PREFIX
from passerelle.platform.state import RunningPlatform, exports

pytestmark = pytest.mark.integration


def objects_of(platform: RunningPlatform) -> Any:
    secret = platform.s3.secret_access_key
    return boto3.client(
        "s3",
        endpoint_url=platform.s3.endpoint_url,
        aws_access_key_id=platform.s3.access_key_id,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        region_name=platform.s3.region,
    )


def all_ended(pids: list[int], within_s: float = 15) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids):
            return True
        time.sleep(0.1)
    return False


def family(pids: dict[str, int]) -> list[int]:
    return [each.pid for pid in pids.values() for each in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))]


def test_pages_of_others_reach_neither_what_flask_answers_nor_the_rest(platform: RunningPlatform) -> None:
    for path in (f"{PREFIX}experiments/create", "/ajax-api/2.0/mlflow/experiments/create", "/api/3.0/mlflow/traces"):
        for foreign in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
            answer = requests.post(f"{platform.tracking_uri}{path}", json={"name": "theirs"}, headers=foreign, timeout=10)
            assert answer.status_code == 403, (path, foreign)
    own = requests.get(f"{platform.tracking_uri}{PREFIX}experiments/get-by-name?experiment_name=theirs", timeout=10)
    assert (own.status_code, own.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert (own.headers["X-Content-Type-Options"], own.headers["X-Frame-Options"]) == ("nosniff", "SAMEORIGIN")
    workspace = requests.get(f"{platform.tracking_uri}{PREFIX}experiments/search", headers={"X-MLFLOW-WORKSPACE": "a"}, timeout=10)
    assert (workspace.status_code, workspace.json()["error_code"]) == (500, "FEATURE_DISABLED")


def test_no_route_that_only_fastapi_answers_lies_below_the_prefix() -> None:
    from mlflow.server.fastapi_app import app
    from mlflow.server.mcp_server_api import get_mcp_server_api_route_prefixes

    routers = [each.original_router for each in app.routes if hasattr(each, "original_router")]
    assert len(routers) == len(app.routes) - 1, "all but the one that hands everything else to Flask"
    paths = [route.path for router in routers for route in router.routes]
    assert [path for path in paths if path.startswith(PREFIX)] == []
    assert [prefix for prefix in get_mcp_server_api_route_prefixes() if prefix.startswith(PREFIX)] == []


def test_it_starts_holds_data_through_a_crash_and_leaves_nothing_running(tmp_path: Path) -> None:
    with EmbeddedPlatform(tmp_path) as first:
        pids = family(first.pids)
        listening = {
            connection.laddr.ip for pid in pids for connection in psutil.Process(pid).net_connections() if connection.status == "LISTEN"
        }
        assert listening == {"127.0.0.1"}
        assert state.own_environment(tmp_path).items() <= dict(first.running.environment).items(), "what `env` prints when it is off"
        with pytest.raises(BusyError, match=str(os.getpid())), EmbeddedPlatform(tmp_path):
            pass
        mlflow.MlflowClient(first.running.tracking_uri).create_experiment("kept")
        bucket = objects_of(first.running)
        for number in range(40):
            bucket.put_object(Bucket="passerelle", Key=f"kept/{number}", Body=f"{number}".encode() * 1_000)
        # The crash of one part ends the wait, and with it all.
        os.kill(first.pids["s3"], signal.SIGKILL)
        with pytest.raises(OutsideError, match="ended by itself"):
            first.wait()
    assert all_ended(pids)
    assert state.running(tmp_path) is None
    (tmp_path / "platform" / "platform.json").write_text('{"tracking_uri": "http')
    with EmbeddedPlatform(tmp_path) as second:
        assert mlflow.MlflowClient(second.running.tracking_uri).get_experiment_by_name("kept") is not None
        bucket = objects_of(second.running)
        held = [bucket.get_object(Bucket="passerelle", Key=f"kept/{number}")["Body"].read() for number in range(40)]
        assert held == [f"{number}".encode() * 1_000 for number in range(40)]
        assert second.running.environment == first.running.environment, "on the same ports: what other terminals hold stays true"
        found = state.running(tmp_path)
        assert found is not None
        assert exports(found.environment).count("export ") == len(found.environment)
        assert oct((tmp_path / "platform" / "platform.json").stat().st_mode & 0o777) == "0o600"


@pytest.fixture
def up(tmp_path: Path, given_environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """`passerelle up`, in a folder of the test's own, where nothing is in production."""
    environment = given_environment | {"PASSERELLE_STATE_DIR": str(tmp_path)}
    with (tmp_path / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "passerelle", "up"], env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait(10)


def wait_until_running(folder: Path, process: subprocess.Popen[bytes]) -> list[int]:
    for _ in range(900):
        if state.running(folder) is not None:
            held = json.loads((folder / "platform" / "platform.json").read_text())
            return family({name: mark["pid"] for name, mark in held["children"].items()})
        assert process.poll() is None, (folder / "up.log").read_text()
        time.sleep(0.1)
    pytest.fail("the platform did not start")


def wait_until_on(folder: Path, process: subprocess.Popen[bytes]) -> str:
    for _ in range(900):
        if "Ctrl-C ends it." in (said := (folder / "up.log").read_text()):
            return said
        assert process.poll() is None, said
        time.sleep(0.1)
    pytest.fail("it did not say how to end it")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_in_order(tmp_path: Path, up: subprocess.Popen[bytes], number: signal.Signals) -> None:
    pids = wait_until_running(tmp_path, up)
    said = wait_until_on(tmp_path, up)
    assert "nothing is in production, as no version of classification holds the alias production" in said
    assert "  make demo\n" in said
    found = state.running(tmp_path)
    assert found is not None
    client = mlflow.MlflowClient(found.tracking_uri)
    assert [each.name for each in client.search_experiments()] == ["Default"], "it trains nothing"
    assert list(client.search_registered_models()) == []
    up.send_signal(number)
    assert up.wait(30) == 0
    assert all_ended(pids)
    assert "Traceback" not in (tmp_path / "up.log").read_text()


def test_a_killed_owner_leaves_no_server_and_the_next_start_repairs(tmp_path: Path, up: subprocess.Popen[bytes]) -> None:
    pids = wait_until_running(tmp_path, up)
    up.kill()
    up.wait(10)
    assert all_ended(pids)
    assert state.running(tmp_path) is None
    with EmbeddedPlatform(tmp_path) as again:
        assert state.running(tmp_path) is not None
        assert again.running.tracking_uri


def test_a_start_killed_in_the_middle_repairs_itself(tmp_path: Path, up: subprocess.Popen[bytes]) -> None:
    for _ in range(1_800):
        if (tmp_path / "platform" / "platform.json").exists():
            break
        time.sleep(0.05)
    held = json.loads((tmp_path / "platform" / "platform.json").read_text())
    assert state.running(tmp_path) is None
    up.kill()
    up.wait(10)
    assert all_ended([mark["pid"] for mark in held["children"].values()])
    with EmbeddedPlatform(tmp_path):
        assert state.running(tmp_path) is not None
