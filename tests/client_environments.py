"""The environments of clients of other servers, in the cache: `python -m tests.client_environments` makes those that are not there yet."""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

from pathlib import Path

from tests.cached_environment import ROOT, CachedEnvironment, is_complete

__all__ = ["CLIENTS", "ROOT", "client_python", "is_complete"]
#: The clients: each has a file of pinned packages in tests/data/clients.
CLIENTS = ("tritonclient", "mlserver", "kserve")


def _environment(client: str) -> CachedEnvironment:
    pinned = ROOT / "tests" / "data" / "clients" / f"{client}.txt"
    return CachedEnvironment(pinned, "test-environments", f"{client}-", ("install", "--no-deps", "--requirement"))


def client_python(client: str) -> Path:
    """Return where the Python of a client's environment is, whether it is there or not."""
    return _environment(client).python


if __name__ == "__main__":
    for each in CLIENTS:
        print(_environment(each).make())
