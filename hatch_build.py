"""Writes the commit that a wheel or a source distribution is built from into it, for `passerelle --version`."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_TIMEOUT_S = 10


class CommitHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds passerelle/commit.txt, unless nothing is known of the commit or a source distribution holds the file already."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the file to what is built; an editable install reads the checkout instead."""
        root = Path(self.root)
        if version == "editable" or not (root / ".git").exists():
            return
        command = ["git", "-C", str(root), "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return
        if done.returncode == 0:
            self._folder = tempfile.TemporaryDirectory(prefix="passerelle-build-")
            written = Path(self._folder.name) / "commit.txt"
            written.write_text(done.stdout, encoding="utf-8")
            place = "src/passerelle/commit.txt" if self.target_name == "sdist" else "passerelle/commit.txt"
            build_data["force_include"][str(written)] = place
