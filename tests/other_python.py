"""The official image of another Python, or one like it: made of an interpreter of this machine where no registry answers."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from passerelle.environments.pythons import find_python

_LEFT_OUT = shutil.ignore_patterns("test", "tests", "idlelib", "lib2to3", "site-packages", "config-*", "__pycache__", "*.a")


def base_of(engine: str, python: str) -> tuple[str, bool]:
    """Return the name of the image, and whether it was made here, so that it is to be removed.

    Args:
        engine: Docker.
        python: Minor version of Python.

    Raises:
        NotFoundError: No registry answers, and this machine has no such Python.
    """
    name = f"python:{python}-slim"
    for ask in (("image", "inspect"), ("pull", "--quiet")):
        if subprocess.run([engine, *ask, name], capture_output=True, check=False, timeout=600).returncode == 0:
            return name, False
    interpreter = find_python(python).resolve()
    with tempfile.TemporaryDirectory(prefix="other-python-") as temporary:
        folder = Path(temporary)
        _copy(interpreter, folder)
        (folder / "Dockerfile").write_text("FROM python:3.11-slim\nCOPY usr /usr\n")
        subprocess.run([engine, "build", "--quiet", "--tag", name, str(folder)], capture_output=True, check=True, timeout=600)
    return name, True


def _copy(interpreter: Path, folder: Path) -> None:
    """Copy an interpreter, its modules and its shared library to where the official images have them."""
    root, local = interpreter.parents[1], folder / "usr" / "local"
    name = interpreter.name
    shutil.copytree(root / "lib" / name, local / "lib" / name, symlinks=True, ignore=_LEFT_OUT)
    (local / "bin").mkdir()
    program = interpreter.read_bytes()
    # Its library is found beside it, as in the official images, in place of where it was installed.
    there = re.search(re.escape(str(root / "lib").encode()) + rb"\0", program)
    if there is not None:
        program = program.replace(there[0], b"$ORIGIN/../lib".ljust(len(there[0]), b"\0"))
    (local / "bin" / name).write_bytes(program)
    (local / "bin" / name).chmod(0o755)
    (local / "bin" / "python3").symlink_to(name)
    for shared in (root / "lib").glob(f"lib{name}.so*"):
        shutil.copy2(shared, local / "lib" / shared.name, follow_symlinks=False)
