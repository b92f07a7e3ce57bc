"""The environment of the flavors, in the cache: `python -m tests.flavor_environment` makes it where these packages have none yet."""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

from pathlib import Path

from tests.cached_environment import ROOT, CachedEnvironment, is_complete

__all__ = ["ROOT", "flavor_python", "is_complete"]
_INSTALL = ("install", "--no-deps", "--compile-bytecode", "--requirement")
_FLAVORS = CachedEnvironment(ROOT / "tests" / "data" / "flavors.txt", "test-environments", "flavors-", _INSTALL)


def flavor_python() -> Path:
    """Return where the environment's Python is, whether it is there or not."""
    return _FLAVORS.python


if __name__ == "__main__":
    print(_FLAVORS.make())
