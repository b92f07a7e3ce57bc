"""Every supervisor that BentoML makes gets private endpoints; a version of BentoML that makes them in another way fails here."""

from __future__ import annotations

import inspect
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _bentoml_impl.server import serving
from bentoml._internal.utils import circus

from passerelle.serving.supervisor import close_ports


@pytest.fixture(autouse=True)
def closed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("Arbiter", "ThreadedArbiter"):
        monkeypatch.setattr(circus, name, getattr(circus, name))
    close_ports()


@pytest.fixture
def made() -> Iterator[list[Any]]:
    arbiters: list[Any] = []
    yield arbiters
    for arbiter in arbiters:
        arbiter.ctrl.sys_hdl.stop()  # gives the signals back


@pytest.mark.parametrize("threaded", [False, True])
def test_its_endpoints_are_within_the_process(made: list[Any], threaded: bool) -> None:
    made += [circus.create_standalone_arbiter([], threaded=threaded) for _ in range(2)]
    endpoints = [endpoint for arbiter in made for endpoint in (arbiter.endpoint, arbiter.ctrl.endpoint, arbiter.pubsub_endpoint)]
    assert {endpoint.partition(":")[0] for endpoint in endpoints} == {"inproc"}
    assert len(set(endpoints)) == 4


def test_with_a_plugin_they_lie_in_a_folder_of_its_own_user(made: list[Any]) -> None:
    made.append(circus.create_standalone_arbiter([], plugins=[{"use": "circus.plugins.flapping.Flapping"}]))
    for endpoint in (made[0].ctrl.endpoint, made[0].pubsub_endpoint):
        scheme, _, path = endpoint.partition("://")
        assert scheme == "ipc"
        assert stat.S_IMODE(Path(path).parent.stat().st_mode) == 0o700
    assert made[0].ctrl.endpoint in made[0].watchers[0].cmd, "the plugin's process is told the same"


def test_to_close_them_twice_is_to_close_them_once() -> None:
    before = circus.Arbiter
    close_ports()
    assert circus.Arbiter is before


def test_bentoml_asks_the_service_before_it_makes_the_supervisor() -> None:
    source = inspect.getsource(serving.serve_http)
    assert 0 < source.index("server_on_deployment(svc)") < source.index("create_standalone_arbiter(**")
