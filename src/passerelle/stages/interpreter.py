"""The Python for a checkout: this one if it has the locked libraries of the checkout, else a new environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement

from passerelle.errors import OutsideError

LOCKED = Path("requirements") / "workbench.txt"
_TIMEOUT_S = 1_800


@dataclass(frozen=True)
class Interpreter:
    """A Python, and a description of it."""

    python: Path
    note: str


def interpreter_for(checkout: Path, environment: Path, progress: Callable[[str], None], *, path: str) -> Interpreter:
    """Return the Python that holds what the checkout locks.

    Args:
        environment: Where one is made if this one does not.
        path: Folders that uv is looked for in, after this Python's own, as $PATH has them.

    Raises:
        OutsideError: It cannot be made.
    """
    locked = checkout / LOCKED
    if not locked.is_file():
        return Interpreter(Path(sys.executable), f"trained with the libraries of this environment: the commit holds no {LOCKED}")
    differing = _differing(locked)
    if not differing:
        return Interpreter(
            Path(sys.executable), f"trained with the libraries of this environment, which are those of the commit's {LOCKED}"
        )
    progress(
        f"this environment has other libraries than the commit's {LOCKED} ({differing[0]}; {len(differing)} in all): one is made for it"
    )
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{path}")
    if uv is None:
        raise OutsideError(f"the environment of the commit's {LOCKED} cannot be made: there is no uv", hint="pip install uv")
    python = environment / "bin" / "python"
    _must(uv, "venv", "--quiet", "--python", sys.executable, str(environment))
    _must(uv, "pip", "sync", "--quiet", "--python", str(python), "--require-hashes", str(locked))
    return Interpreter(
        python, f"trained in an environment made of the commit's {LOCKED}: {len(differing)} libraries differ from this one's"
    )


def _differing(locked: Path) -> list[str]:
    lines = (line.split(" --hash")[0].rstrip(" \\") for line in locked.read_text(encoding="utf-8").splitlines() if line[:1].isalnum())
    requirements = (Requirement(line) for line in lines)
    pairs = ((each, _installed(each.name)) for each in requirements if each.marker is None or each.marker.evaluate())
    return [
        f"{each.name} {found or 'is not installed'}, not {each.specifier}"
        for each, found in pairs
        if found is None or not each.specifier.contains(found, prereleases=True)
    ]


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _must(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        output, failed = done.stderr or done.stdout, done.returncode != 0
    except subprocess.TimeoutExpired:
        output, failed = f"it did not end within {_TIMEOUT_S} s", True
    if failed:
        last_lines = "\n".join(f"    {line}" for line in output.strip().splitlines()[-8:])
        hint = f"git checkout COMMIT; uv venv; uv pip sync --require-hashes {LOCKED}; passerelle train"
        raise OutsideError(f"the environment of the commit's {LOCKED} cannot be made:\n{last_lines}", hint=hint)
