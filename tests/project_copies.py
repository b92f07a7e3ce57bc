"""Copies of this project, as git would hold them, with fewer candidates to train."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

#: What a full training adds to a test of the commands is time: `make demo` trains all of them in CI.
FEWER = {
    # word_lr, and mixed_svm, which is the best of the two
    "seed=seed, rows=len(data.records))": "seed=seed, rows=len(data.records))[0:3:2]",
    "return tabular_candidates(numbers, words, seed=seed)": "return tabular_candidates(numbers, words, seed=seed)[:1]",
}


def copied_project(root: Path, folder: Path) -> None:
    """Copy what git would hold of a project, with its times.

    make would take newer requirements for changed ones, and install the copy into the environment of both.
    """
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True, timeout=30).stdout
    for name in filter(None, listed.split("\0")):
        if (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / name)


def fewer_candidates(project: Path) -> None:
    """Let a project train two candidates for texts, and one for tables."""
    path = project / "training" / "candidates.py"
    content = path.read_text()
    for all_of_them, fewer in FEWER.items():
        assert content.count(all_of_them) == 1, f"{path} has another text; this is to be written anew"
        content = content.replace(all_of_them, fewer)
    path.write_text(content)
