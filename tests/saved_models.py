"""Models that another environment saved, kept beside that environment: they are the same until its packages or its script change."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from filelock import FileLock

from tests.cached_environment import ROOT


def saved_models(python: Path, script: str) -> Path:
    """Return the folder that holds a folder of each model of the script, whose `--save-all FOLDER` writes them."""
    path = ROOT / "tests" / script
    folder = python.parents[1].parent / f"{python.parents[1].name}-{path.stem}-{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
    with FileLock(f"{folder}.lock"):
        if not (folder / ".complete").exists():
            folder.mkdir(exist_ok=True)
            command = [str(python), "-I", str(path), "--save-all", str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, env={"HOME": str(folder)})
            assert done.returncode == 0, done.stderr
            (folder / ".complete").touch()
    return folder
