"""An environment made of requirements/scorer.txt alone, as the image of a compiled model has it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[1]
_PIPELINE_PACKAGES = ("sklearn", "scipy", "pandas", "joblib", "skops")


@pytest.fixture(scope="session")
def scorer_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of the environment, made once for all test processes; `passerelle` comes from PYTHONPATH."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if os.environ.get("PYTEST_XDIST_WORKER") else root
    python = root / "scorer-environment" / "bin" / "python"
    with FileLock(root / "scorer-environment.lock"):
        if not python.exists():
            uv = [sys.executable, "-m", "uv"]
            run([*uv, "venv", "--quiet", "--python", sys.executable, str(python.parents[1])])
            locked = str(ROOT / "requirements" / "scorer.txt")
            run([*uv, "pip", "sync", "--quiet", "--python", str(python), "--require-hashes", locked])
    missing = f"import importlib.util as u; print([n for n in {_PIPELINE_PACKAGES!r} if u.find_spec(n)])"
    assert run([str(python), "-I", "-c", missing]).strip() == "[]", "what loads a pipeline is not in this environment"
    return python


def run(command: list[str], **environment: str) -> str:
    """Run a program and return what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=ROOT, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    return done.stdout
