"""What is wrong with a cluster or its address is said in words, and within a bounded time."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import ModuleType, SimpleNamespace

import pytest

from passerelle.batch import ray_cluster
from passerelle.errors import OutsideError, PasserelleError, UsageError

CORES = {"CPU": 4.0}


class AuthenticationError(Exception):
    """As Ray's own is called."""


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., SimpleNamespace]:
    """Return what connects to a double of Ray whose `init` does what it is given."""
    monkeypatch.setattr(ray_cluster, "find_spec", lambda _: object())
    monkeypatch.setattr(ray_cluster, "_PAUSE_S", 0.0)

    def connecting(*init: Callable[[], object], cores: dict[str, float] = CORES) -> SimpleNamespace:
        left, ended = iter(init), []
        ray = ModuleType("ray")
        ray.__dict__.update(init=lambda *_, **__: next(left)(), shutdown=lambda: ended.append(True), cluster_resources=lambda: cores)
        monkeypatch.setitem(sys.modules, "ray", ray)
        with ray_cluster.connected("auto"):
            pass
        return SimpleNamespace(ended=ended, left=list(left))

    return connecting


def failing(error: Exception) -> Callable[[], object]:
    def fail() -> object:
        raise error

    return fail


def test_the_connection_ends_with_the_body(connect: Callable[..., SimpleNamespace]) -> None:
    assert connect(lambda: None).ended == [True]
    assert connect(failing(ConnectionAbortedError("no server yet")), lambda: None).left == []


@pytest.mark.parametrize(
    ("problem", "kind", "message"),
    [
        (
            RuntimeError("Version mismatch: Ray: 2.59.0 Python: 3.12.1"),
            UsageError,
            "another version of Ray or Python than this environment: V",
        ),
        (AuthenticationError("wrong"), OutsideError, "refuses the token of this environment"),
        (ConnectionError("Failed to connect to Ray cluster at auto"), OutsideError, "names another token than the cluster's, or"),
        (ConnectionError("Could not find any running Ray instance"), OutsideError, "no Ray cluster answers at auto: Could not find"),
    ],
)
def test_a_cluster_that_refuses(
    connect: Callable[..., SimpleNamespace], problem: Exception, kind: type[PasserelleError], message: str
) -> None:
    with pytest.raises(kind, match=message) as raised:
        connect(failing(problem))
    assert raised.value.hint


def test_a_cluster_that_does_not_answer_is_not_waited_for(connect: Callable[..., SimpleNamespace], monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()
    monkeypatch.setattr(ray_cluster, "CONNECTION_TIMEOUT_S", 0.01)
    with pytest.raises(OutsideError, match="does not answer as a Ray cluster within"):
        connect(never.wait)
    never.set()


def test_nothing_listens_there(connect: Callable[..., SimpleNamespace], monkeypatch: pytest.MonkeyPatch) -> None:
    del connect

    def refused(place: tuple[str, int], timeout_s: float) -> None:
        assert (place, timeout_s) == (("::1", 6379), 5.0)
        raise ConnectionRefusedError("Connection refused")

    monkeypatch.setattr("socket.create_connection", refused)
    with (
        pytest.raises(OutsideError, match=r"no Ray cluster answers at \[::1\]:6379: Connection refused"),
        ray_cluster.connected("[::1]:6379"),
    ):
        pass


def test_a_cluster_without_a_core(connect: Callable[..., SimpleNamespace]) -> None:
    with pytest.raises(OutsideError, match="has no node with a core"):
        connect(lambda: None, cores={})


@pytest.mark.parametrize("address", ["", "local", "http://head:6379", "ray://head", "head", "head:x"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(UsageError, match="is no address of a Ray cluster"):
        ray_cluster.check_address(address)


def test_ray_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "find_spec", lambda _: None)
    for address in ("auto", "ray://head:10001", "10.0.0.1:6379", "[::1]:6379"):
        with pytest.raises(UsageError, match="--address needs Ray, which is not installed") as raised:
            ray_cluster.check_address(address)
        assert raised.value.hint == "pip install 'passerelle[ray]'"


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(UsageError, match=r"^'ray://…@head:10001' is no address") as raised:
        ray_cluster.check_address("ray://me:secret@head:10001")
    assert "secret" not in raised.value.message
