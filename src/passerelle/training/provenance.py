"""The state of the code: the git commit that a run is tagged with."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

_TIMEOUT_S = 10
UNKNOWN = "unknown"


@dataclass(frozen=True)
class GitState:
    """The checkout that the code runs from.

    Attributes:
        commit: Full hash, or `unknown` outside of a checkout.
        dirty: Whether a tracked file differs from the commit; none outside of a checkout.
    """

    commit: str
    dirty: bool | None


def git_state(folder: Path | None = None) -> GitState:
    """Return the commit of the checkout that tracks this code, `unknown` where none does.

    Args:
        folder: Folder in the checkout; by default that of this file.
    """
    here = folder or Path(__file__).parent
    if not _git(here, "ls-files", "--", "."):  # installed, by chance below some other checkout
        return GitState(UNKNOWN, None)
    commit, changes = _git(here, "rev-parse", "HEAD"), _git(here, "status", "--porcelain", "--untracked-files=no")
    return GitState(commit, bool(changes)) if commit else GitState(UNKNOWN, None)


def code_digest(project: Path | None = None) -> str:
    """Return SHA-256 over the code of a training: with the same digest, data and seed, the training is not repeated.

    Args:
        project: Folder of the project's own training code, which counts beside this package's.
    """
    digest = hashlib.sha256()
    for folder in (Path(__file__).parent, *([project] if project else [])):
        for path in sorted(folder.glob("*.py")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return "sha256:" + digest.hexdigest()


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
