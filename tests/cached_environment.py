"""An environment of pinned packages in the cache of this machine, made once for each content of the file that pins them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class CachedEnvironment:
    """One environment.

    Attributes:
        pinned: The file of its packages.
        folder: Of the cache, below `passerelle`.
        prefix: Of the environment's name, before the digest of the file.
        install: Arguments of `uv pip` that come before the file.
        base: The interpreter that it is made with.
    """

    pinned: Path
    folder: str
    prefix: str
    install: tuple[str, ...]
    base: Path = Path(sys.executable)

    @property
    def python(self) -> Path:
        """Where its Python is, whether it is there or not."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "passerelle" / self.folder
        digest = hashlib.sha256(self.pinned.read_bytes() + sys.version.encode()).hexdigest()[:16]
        return cache / f"{self.prefix}{digest}" / "bin" / "python"

    def make(self) -> Path:
        """Install the packages where they are not there yet, and return the environment's Python."""
        python = self.python
        python.parents[2].mkdir(parents=True, exist_ok=True)
        with FileLock(f"{python.parents[1]}.lock"):
            if not is_complete(python):
                uv = [sys.executable, "-m", "uv"]
                subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", str(self.base), str(python.parents[1])], check=True)
                subprocess.run(
                    [*uv, "pip", *self.install[:1], "--quiet", "--python", str(python), *self.install[1:], str(self.pinned)], check=True
                )
                (python.parents[1] / ".complete").touch()
        return python


def is_complete(python: Path) -> bool:
    """Return whether all packages of an environment were installed."""
    return (python.parents[1] / ".complete").exists()
