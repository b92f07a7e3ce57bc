"""The environment of a Ray node, in the cache: `python -m tests.ray_environment` makes it where these locked requirements have none yet."""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

from pathlib import Path

from tests.cached_environment import ROOT, CachedEnvironment, is_complete

__all__ = ["LOCKED", "ROOT", "is_complete", "ray_python"]
LOCKED = ROOT / "requirements" / "ray.txt"
_RAY = CachedEnvironment(LOCKED, "ray", "", ("sync", "--compile-bytecode", "--require-hashes"))


def ray_python() -> Path:
    """Return where the environment's Python is, whether it is there or not."""
    return _RAY.python


if __name__ == "__main__":
    print(_RAY.make())
