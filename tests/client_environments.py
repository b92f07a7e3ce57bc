"""The environments of clients of other servers, in the cache: `python -m tests.client_environments` makes those that are not there yet."""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).resolve().parents[1]
#: The clients: each has a file of pinned packages in tests/data/clients.
CLIENTS = ("tritonclient", "mlserver", "kserve")


def client_python(client: str) -> Path:
    """Return where the Python of a client's environment is, whether it is there or not."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "passerelle" / "test-environments"
    digest = hashlib.sha256(_pinned(client).read_bytes() + sys.version.encode()).hexdigest()[:16]
    return cache / f"{client}-{digest}" / "bin" / "python"


def is_complete(python: Path) -> bool:
    """Return whether all packages were installed."""
    return (python.parents[1] / ".complete").exists()


def _pinned(client: str) -> Path:
    return ROOT / "tests" / "data" / "clients" / f"{client}.txt"


def main() -> None:
    """Install the packages, and print each environment's Python."""
    for client in CLIENTS:
        python = client_python(client)
        python.parents[2].mkdir(parents=True, exist_ok=True)
        with FileLock(f"{python.parents[1]}.lock"):
            if not is_complete(python):
                uv = [sys.executable, "-m", "uv"]
                subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(python.parents[1])], check=True)
                install = ["pip", "install", "--quiet", "--no-deps", "--python", str(python), "--requirement", str(_pinned(client))]
                subprocess.run([*uv, *install], check=True)
                (python.parents[1] / ".complete").touch()
        print(python)


if __name__ == "__main__":
    main()
