"""Loopback is never asked through a proxy, and a server that is asked through one is said to be."""

from __future__ import annotations

import os
import socket

import click
import pytest

from passerelle.cli.loopback import for_shell, keep_loopback_direct
from passerelle.errors import OutsideError
from passerelle.proxy_variables import loopback_direct, past_proxy, proxy_variable
from passerelle.registry.reachable import check_mlflow, listens
from passerelle.settings import MlflowSettings

CLOSED = "http://127.0.0.1:9"
DIRECT = "127.0.0.1,localhost,::1"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        for name in (kind, kind.upper()):
            monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("environment", "values"),
    [
        ({}, None),
        ({"HTTP_PROXY": ""}, None),
        ({"HTTP_PROXY": CLOSED}, DIRECT),
        ({"all_proxy": CLOSED, "NO_PROXY": "intra.fr, localhost"}, "intra.fr,localhost,127.0.0.1,::1"),
        ({"HTTPS_PROXY": CLOSED, "no_proxy": "a", "NO_PROXY": "b"}, f"a,{DIRECT}"),
        ({"HTTP_PROXY": CLOSED, "no_proxy": "*"}, None),
        ({"HTTP_PROXY": CLOSED, "no_proxy": DIRECT, "NO_PROXY": DIRECT}, None),
    ],
)
def test_loopback_is_kept_away_from_any_proxy(environment: dict[str, str], values: str | None) -> None:
    assert loopback_direct(environment) == ({} if values is None else {"no_proxy": values, "NO_PROXY": values})


@pytest.mark.parametrize(("variable", "scheme"), [("HTTP_PROXY", "http"), ("https_proxy", "https"), ("ALL_PROXY", "http")])
def test_a_proxy_that_is_asked_is_named_with_the_line_to_type(monkeypatch: pytest.MonkeyPatch, variable: str, scheme: str) -> None:
    address = f"{scheme}://mlflow.test:5000"
    assert proxy_variable(address) is None
    assert past_proxy(address, "passerelle status") == "passerelle status"
    monkeypatch.setenv(variable, "http://user:secret@127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "intra.test")
    with pytest.raises(OutsideError) as refused:
        check_mlflow(MlflowSettings.read({}, tracking_uri=address))
    assert refused.value.message == f"MLflow does not answer at {address}: {variable} sends what is asked of it to a proxy"
    assert (refused.value.hint or "").startswith("export NO_PROXY=intra.test,mlflow.test\n")
    monkeypatch.setenv("NO_PROXY", "mlflow.test")
    assert proxy_variable(address) is None


def test_a_command_asks_loopback_itself_and_leaves_the_variables_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    command = "curl http://127.0.0.1:1/classify"
    assert for_shell(command) == command
    monkeypatch.setenv("ALL_PROXY", CLOSED)
    with socket.create_server(("127.0.0.1", 0)) as server, click.Context(click.Command("status")) as context:
        keep_loopback_direct(context)
        assert listens(f"http://127.0.0.1:{server.getsockname()[1]}", 1)
        assert not listens(CLOSED, 1), "no proxy answers for it"
        assert os.environ["NO_PROXY"] == DIRECT
        assert for_shell(command) == "curl --noproxy '*' http://127.0.0.1:1/classify"
    assert "NO_PROXY" not in os.environ
