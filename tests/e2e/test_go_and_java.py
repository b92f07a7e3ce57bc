"""The service and the HTTP clients that Go and Java bring along, with their own defaults."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from passerelle.api_keys import make_key
from tests.service_fixtures import ServedModel, serve

pytestmark = [pytest.mark.e2e, pytest.mark.integration]

CLIENTS = Path(__file__).with_name("clients")


@pytest.fixture(scope="module")
def guarded(bentoml_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServedModel, str]]:
    """A service that asks for keys on loopback too, and a key."""
    keys = tmp_path_factory.mktemp("keys") / "keys.json"
    with serve(bentoml_home, auth="required", keys_file=str(keys)) as running:
        yield running, make_key(keys, "clients").token


def lines_of(command: Sequence[str], folder: Path) -> list[list[str]]:
    """Return the words of each line that a program prints."""
    environment = dict(os.environ) | {"GO111MODULE": "off", "GOFLAGS": "", "GOTOOLCHAIN": "local"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def test_gos_client_reads_every_answer(guarded: tuple[ServedModel, str], tmp_path: Path) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go is not installed")
    service, key = guarded
    lines = lines_of([go, "run", str(CLIENTS / "client.go"), service.address, key], tmp_path)
    assert [line[:2] for line in lines] == [
        *[["classify", "200"]] * 3, ["expect", "200"], ["batch", "200"], ["too_large", "413"], ["too_large_expected", "413"],
        ["unauthorized", "401"], ["head", "200"],
    ]  # fmt: skip
    assert [line[2] for line in lines[:5]] == ["false", "true", "true", "true", "true"], "the connection is kept"
    assert all(line[4] == "true" for line in lines), "each body was read to its end"
    assert int(lines[4][3]) > 100_000


def test_javas_client_reads_every_answer(guarded: tuple[ServedModel, str], tmp_path: Path) -> None:
    java = shutil.which("java")
    if java is None or shutil.which("javac") is None:
        pytest.skip("a JDK is not installed")
    service, key = guarded
    lines = lines_of([java, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", str(CLIENTS / "Client.java"), service.address, key], tmp_path)
    assert [line[:2] for line in lines] == [
        *[["classify", "200"]] * 3, ["expect", "200"], ["batch", "200"], ["too_large", "413"], ["unauthorized", "401"], ["head", "200"],
        ["plain", "200"],
    ]  # fmt: skip
    assert {line[2] for line in lines[:-1]} == {"HTTP_1_1"}, "it offered HTTP/2, and that was ignored"
