"""A connection to a Ray cluster that runs already, within a bounded time, and its errors in words."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from passerelle.errors import OutsideError, UsageError

AUTO = "auto"
_RAY_CLIENT = "ray://"
_ADDRESS = re.compile(r"(ray://)?(?P<host>[\w.-]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})")
_LISTENS_TIMEOUT_S = 5.0
#: Of the whole attempt.
CONNECTION_TIMEOUT_S = 120.0
#: A head that has just started may not have its first server for clients yet.
_TRIES = 3
_PAUSE_S = 2.0
INSTALL = "pip install 'passerelle[ray]'"
STATUS = "ray status"


def check_address(address: str, *, hint: str = "passerelle score --address auto --input INPUT --output OUTPUT") -> None:
    """Check that an address can be one of a Ray cluster, and that Ray is installed here.

    Args:
        hint: The command to type with a right address.

    Raises:
        UsageError: It cannot, or Ray is not.
    """
    if address != AUTO and _ADDRESS.fullmatch(address) is None:
        # What stands before @ may be a password.
        message = f"'{re.sub('[^/]*@', '…@', address)}' is no address of a Ray cluster: it is auto, HOST:PORT, or ray://HOST:PORT"
        raise UsageError(message, hint=hint)
    if find_spec("ray") is None:
        raise UsageError("--address needs Ray, which is not installed: there is no module ray", hint=INSTALL)


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Yield the module `ray`, connected to the cluster; the connection ends with the body, the cluster goes on.

    Raises:
        UsageError: As `check_address`; or the cluster has another version of Ray or Python.
        OutsideError: The cluster does not answer in time, refuses the token, or has no core.
    """
    check_address(address)
    _check_listens(address)
    # Only --address needs it, and importing it takes seconds.
    import ray  # noqa: PLC0415

    _connect(ray, address, CONNECTION_TIMEOUT_S)
    try:
        if cores(ray) < 1:
            raise OutsideError(f"the Ray cluster at {address} has no node with a core", hint=STATUS)
        yield ray
    finally:
        ray.shutdown()


def cores(ray: Any) -> int:
    """Return how many cores the nodes of the cluster that are alive have."""
    return int(ray.cluster_resources().get("CPU", 0))


def _check_listens(address: str) -> None:
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return
    try:
        socket.create_connection((found["host"].strip("[]"), int(found["port"])), _LISTENS_TIMEOUT_S).close()
    except (OSError, OverflowError) as error:
        raise OutsideError(f"no Ray cluster answers at {address}: {error}", hint=STATUS) from error


def _connect(ray: Any, address: str, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    for tries_left in reversed(range(_TRIES)):
        problem = _problem(lambda: ray.init(address, log_to_driver=False, logging_level="error"), deadline - time.monotonic())
        if problem is None:
            return
        if not tries_left or not isinstance(problem, ConnectionAbortedError):
            raise _in_words(address, problem, timeout_s) from problem
        time.sleep(_PAUSE_S)


def _problem(connect: Callable[[], object], timeout_s: float) -> Exception | None:
    """Return what `connect` raises, or that it does not end in time: Ray waits for some servers for ever."""
    problems: list[Exception | None] = [TimeoutError()]

    def run() -> None:
        try:
            connect()
            problems.append(None)
        except Exception as error:  # noqa: BLE001 - raised in the thread that waits
            problems.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(timeout_s)
    return problems[-1]


def _in_words(address: str, problem: Exception, timeout_s: float) -> UsageError | OutsideError:
    text = " ".join(str(problem).split())
    if "ersion mismatch" in text:
        message = f"the Ray cluster at {address} has another version of Ray or Python than this environment: {text}"
        return UsageError(message, hint=INSTALL)
    if type(problem).__name__ == "AuthenticationError" or "UNAUTHENTICATED" in text or "uthentication" in text:
        message = (
            f"the Ray cluster at {address} refuses the token of this environment: RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH name one"
        )
        return OutsideError(message, hint="ray get-auth-token")
    if "Failed to connect to Ray cluster" in text:
        # Ray writes that a token is wrong to stderr alone.
        message = "RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH names another token than the cluster's, or it is no Ray cluster"
        return OutsideError(f"what listens at {address} refuses this environment: {message}", hint=STATUS)
    if isinstance(problem, TimeoutError):
        return OutsideError(f"what listens at {address} does not answer as a Ray cluster within {timeout_s:.0f} s", hint=STATUS)
    return OutsideError(f"no Ray cluster answers at {address}: {text[-500:]}", hint=STATUS)
