"""The environment of a Ray node, in the cache: `python -m tests.ray_environment` makes it where these locked requirements have none yet."""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).resolve().parents[1]
LOCKED = ROOT / "requirements" / "ray.txt"


def ray_python() -> Path:
    """Return where the environment's Python is, whether it is there or not."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "passerelle" / "ray"
    digest = hashlib.sha256(LOCKED.read_bytes() + sys.version.encode()).hexdigest()[:16]
    return cache / digest / "bin" / "python"


def is_complete(python: Path) -> bool:
    """Return whether all packages were installed."""
    return (python.parents[1] / ".complete").exists()


def main() -> None:
    """Install the packages, and print the environment's Python."""
    python = ray_python()
    python.parents[2].mkdir(parents=True, exist_ok=True)
    with FileLock(f"{python.parents[1]}.lock"):
        if not is_complete(python):
            uv = [sys.executable, "-m", "uv"]
            subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(python.parents[1])], check=True)
            sync = ["pip", "sync", "--quiet", "--compile-bytecode", "--python", str(python), "--require-hashes", str(LOCKED)]
            subprocess.run([*uv, *sync], check=True)
            (python.parents[1] / ".complete").touch()
    print(python)


if __name__ == "__main__":
    main()
