"""The environment of the flavors, in the cache: `python -m tests.flavor_environment` makes it where these packages have none yet."""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).resolve().parents[1]
PINNED = ROOT / "tests" / "data" / "flavors.txt"


def flavor_python() -> Path:
    """Return where the environment's Python is, whether it is there or not."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "passerelle" / "test-environments"
    digest = hashlib.sha256(PINNED.read_bytes() + sys.version.encode()).hexdigest()[:16]
    return cache / f"flavors-{digest}" / "bin" / "python"


def is_complete(python: Path) -> bool:
    """Return whether all packages were installed."""
    return (python.parents[1] / ".complete").exists()


def main() -> None:
    """Install the packages, and print the environment's Python."""
    python = flavor_python()
    python.parents[2].mkdir(parents=True, exist_ok=True)
    with FileLock(f"{python.parents[1]}.lock"):
        if not is_complete(python):
            uv = [sys.executable, "-m", "uv"]
            subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(python.parents[1])], check=True)
            install = [
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--compile-bytecode",
                "--python",
                str(python),
                "--requirement",
                str(PINNED),
            ]
            subprocess.run([*uv, *install], check=True)
            (python.parents[1] / ".complete").touch()
    print(python)


if __name__ == "__main__":
    main()
