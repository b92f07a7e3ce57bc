"""The environments of adopted models in the cache of this machine: each made once, complete or not there, and not too many."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from passerelle.environments.pythons import find_python
from passerelle.environments.uv import UvFailure, run_uv
from passerelle.errors import BusyError, OutsideError, shell_word
from passerelle.model.environment import environment_folder
from passerelle.settings import LoadingSettings

_LOCK_TIMEOUT_S = 1_800.0
_COMPILE_TIMEOUT_S = 600.0
#: Touched by each use, so that the environment that was not used for longest goes first.
_USED = ".used"
_STALE_S = 86_400.0


def ensure(lock: Path, python: str, settings: LoadingSettings, progress: Callable[[str], None] = lambda _: None) -> Path:
    """Return the interpreter of the environment of a model; makes the environment where it is missing.

    Args:
        lock: The file of locked requirements, `environment.txt`.
        python: Minor version of Python, such as `3.11`.
        settings: Where environments lie, and how much room they may take.
        progress: Called with a line for what takes time.

    Raises:
        NotFoundError: This machine has no such Python.
        OutsideError: uv cannot install the packages, or the disk is full.
        BusyError: Another process has been making it for half an hour.
    """
    if settings.model_python is not None:
        return settings.model_python
    folder = environment_folder(lock, settings)
    interpreter = folder / "bin" / "python"
    if not interpreter.exists():
        with _alone(folder):
            if not interpreter.exists():
                progress(f"uv makes the environment of the model, {folder}; the first time takes a minute")
                _make(folder, lock, python)
                keep_within(settings, but=folder)
    # A cache that several users share may be one that this user only reads.
    with contextlib.suppress(PermissionError):
        (folder / _USED).touch()
    return interpreter


def keep_within(settings: LoadingSettings, *, but: Path | None = None) -> list[Path]:
    """Remove the environments that were not used for longest until all together take no more than the setting allows.

    Args:
        settings: Where environments lie, and how much room they may take.
        but: One that stays. Those that a process of this machine runs in stay too.

    Returns:
        The folders that were removed.
    """
    root = settings.environments_dir.expanduser()
    folders = [path for path in root.iterdir() if path.is_dir()]
    for path in [path for path in folders if path.name.startswith(".") and _last_use(path) < time.time() - _STALE_S]:
        shutil.rmtree(path, ignore_errors=True)
    found = sorted((path for path in folders if not path.name.startswith(".")), key=_last_use)
    sizes = {path: _size(path) for path in found}
    room, removed = settings.environments_max_gib * 2**30, []
    in_use = _in_use(root) if sum(sizes.values()) > room else set()
    for path in found:
        if sum(sizes.values()) <= room:
            break
        if path == but or path in in_use:
            continue
        _remove(path)
        sizes.pop(path)
        removed.append(path)
    return removed


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process after the other make the environment."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / f"{folder.name}.lock", timeout=_LOCK_TIMEOUT_S):
            yield
    except Timeout as error:
        raise BusyError(f"another process is making the environment {folder}", hint=f"ls -l {shell_word(folder.parent)}") from error
    except OSError as error:
        message = f"the environment {folder} cannot be made: {error.strerror or type(error).__name__}"
        raise OutsideError(message, hint=f"df -h {shell_word(folder.parent)}") from error


def _make(folder: Path, lock: Path, python: str) -> None:
    """Make the environment beside its place, then give it its name: it is whole as soon as it is there."""
    for former in [*folder.parent.glob(f".{folder.name}-*"), folder]:
        # Of a process that was killed, or with a Python that is gone.
        if former.exists():
            _remove(former)
    base = find_python(python)
    staging = folder.parent / f".{folder.name}-{uuid.uuid4().hex[:8]}"
    try:
        _must(["venv", "--quiet", "--no-project", "--no-config", "--relocatable", "--python", str(base), str(staging)], python)
        install = ["pip", "sync", "--quiet", "--no-config", "--only-binary", ":all:", "--require-hashes"]
        _must([*install, "--python", str(staging / "bin" / "python"), str(lock)], python)
        _compile(staging)
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _must(arguments: list[str], python: str) -> None:
    failure = run_uv(arguments)
    if isinstance(failure, UvFailure):
        raise OutsideError(f"the environment of the model cannot be made for Python {python}:\n{failure.text}", hint="uv cache prune")


def _compile(folder: Path) -> None:
    """Compile the packages to bytecode, but for their tests: the process of a model writes none.

    Without the packages' own `.pth` files, which may run code; what cannot be compiled is read as source.
    """
    command = [
        str(folder / "bin" / "python"),
        "-I",
        "-S",
        "-m",
        "compileall",
        "-q",
        "-j",
        "0",
        "-x",
        r"[/\\]tests?[/\\]",
        str(folder / "lib"),
    ]
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(command, env={"PATH": os.defpath}, capture_output=True, timeout=_COMPILE_TIMEOUT_S, check=False)


def _remove(folder: Path) -> None:
    """Remove an environment, whose name is free at once."""
    passing = folder.parent / f".{folder.name}-{uuid.uuid4().hex[:8]}"
    folder.rename(passing)
    shutil.rmtree(passing, ignore_errors=True)


def _last_use(folder: Path) -> float:
    used = folder / _USED
    return used.stat().st_mtime if used.exists() else folder.stat().st_mtime


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() or path.is_symlink())


def _in_use(root: Path) -> set[Path]:
    """Return the environments that a process of this machine was started in."""
    used = set()
    for process in psutil.process_iter(["cmdline"]):
        for part in (process.info["cmdline"] or [])[:1]:
            if Path(part).is_relative_to(root):
                used.add(root / Path(part).relative_to(root).parts[0])
    return used
