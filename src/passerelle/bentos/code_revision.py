"""The revision of the serving code: the git commit that a bento is built from, and whether its files are those of the commit."""

from __future__ import annotations

import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Final

from passerelle.bentos.tool_environment import tool_environment

_TIMEOUT_S = 10
#: At the end of the revision of files that the commit does not hold as they are.
DIRTY: Final = "-dirty"


def code_revision(project: Path, files: Collection[Path]) -> str:
    """Return the commit of the checkout that tracks the project, with `-dirty` where files differ from it; empty outside of a checkout.

    Args:
        project: Folder in the checkout.
        files: Those that enter the bento; only these count, not what is edited beside them.
    """
    folder = project.resolve()
    if not _git(folder, "ls-files", "--", "."):  # by chance below some other checkout
        return ""
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return ""
    names = [str(path.resolve().relative_to(folder)) for path in files if path.resolve().is_relative_to(folder)]
    changed = _git(folder, "status", "--porcelain", "--untracked-files=all", "--", *names) if names else ""
    return commit + (DIRTY if changed is None or changed else "")


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, env=tool_environment(), capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
