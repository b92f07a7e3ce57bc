"""Puts into the wheel what is not below src/: the commit that it is built from, and the root's files that every project gets."""

from __future__ import annotations

import runpy
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_TIMEOUT_S = 10


class BuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds passerelle/commit.txt and passerelle/project/root/; an editable installation reads the checkout instead."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files and where the archive holds them."""
        if version == "editable":
            return
        self._add_commit(build_data)
        if self.target_name == "wheel":
            self._add_project_files(build_data)

    def _add_commit(self, build_data: dict[str, Any]) -> None:
        """Add the commit, for `passerelle --version`, unless nothing is known of it or a source distribution holds the file already."""
        root = Path(self.root)
        if not (root / ".git").exists():
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

    def _add_project_files(self, build_data: dict[str, Any]) -> None:
        """Add the files that `passerelle new` copies, as the patterns of passerelle.project.patterns name them."""
        root = Path(self.root)
        named = runpy.run_path(str(root / "src/passerelle/project/patterns.py"))
        for name in named["matching"](root):
            build_data["force_include"][name] = f"passerelle/project/root/{name}"
