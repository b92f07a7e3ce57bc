"""A Python of a minor version that is at hand: this one, uv's, one on the PATH, or pyenv's. None is downloaded."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from passerelle.environments.uv import UvFailure, run_uv
from passerelle.errors import NotFoundError, UsageError

#: The process of a model runs from this version on.
OLDEST = (3, 9)
#: The one that runs this, which is always at hand.
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
_ADOPT = "passerelle adopt models:/NAME/VERSION"


def minor_version(python: str) -> str:
    """Return the minor version, such as `3.11`, of a version of Python.

    Raises:
        UsageError: It is none, or older than the process of a model can run on.
    """
    found = re.fullmatch(r"(\d)\.(\d{1,2})(?:\.\d+)?(?:[abrc]+\d+|\+)?", python.strip())
    if found is None:
        raise UsageError(f"'{python[:40]}' is no version of Python", hint=f"{_ADOPT} --python {HERE}")
    if (int(found[1]), int(found[2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise UsageError(
            f"the model asks for Python {python}; a model is run on Python {oldest} or newer", hint=f"{_ADOPT} --python {HERE}"
        )
    return f"{found[1]}.{found[2]}"


def find_python(python: str) -> Path:
    """Return the interpreter of a minor version.

    Args:
        python: Such as `3.11`.

    Raises:
        NotFoundError: There is none on this machine.
    """
    if python == HERE:
        return Path(sys.executable)
    found = run_uv(["python", "find", "--quiet", "--no-project", "--no-config", "--system", f"=={python}.*"], timeout_s=60)
    if not isinstance(found, UvFailure) and Path(found.strip()).exists():
        return Path(found.strip())
    for interpreter in _of_pyenv(python):
        return interpreter
    raise NotFoundError(
        f"the model asks for Python {python}, and this machine has none", hint=f"uv python install {python}\n{_ADOPT} --python {HERE}"
    )


def _of_pyenv(python: str) -> list[Path]:
    """Return the interpreters of that version that pyenv installed, the newest first."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [path for path in root.glob(f"{python}.*/bin/python") if path.exists()]
    return sorted(found, key=lambda path: [int(part) for part in re.findall(r"\d+", path.parents[1].name)], reverse=True)
