"""Room on the disks that are written to, and whether this user may write there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from passerelle.doctor.diagnosis import Diagnosis, Health, Surroundings, fine
from passerelle.errors import shell_word
from passerelle.settings import LoadingSettings

NAME = "disk"
_GIB = 1 << 30
#: An image is built from about a GiB of packages; a full disk in the middle of a training costs the training.
_LEAST_BYTES, _LITTLE_BYTES = _GIB, 5 * _GIB


def probe(here: Surroundings) -> Iterator[Diagnosis]:
    """Say how much room each disk has, once a disk, and which folder this user may not write to."""
    folders = {
        "the state": here.state.state_dir,
        "the BentoML store": here.store.bentoml_home or here.state.state_dir,
        "temporary files": Path(tempfile.gettempdir()),
        "environments of adopted models": LoadingSettings.read(here.environment).environments_dir.expanduser(),
    }
    disks: dict[int, tuple[list[str], Path]] = {}
    for what, folder in folders.items():
        nearest = _nearest(folder)
        if not os.access(nearest, os.W_OK | os.X_OK):
            message = f"this user may not write to {nearest}, the folder of {what}"
            yield Diagnosis(NAME, Health.FAULT, message, hint=f'sudo chown -R "$USER" {shell_word(nearest)}')
        disks.setdefault(nearest.stat().st_dev, ([], nearest))[0].append(what)
    for names, folder in disks.values():
        yield room(", ".join(names), folder, shutil.disk_usage(folder).free)


def room(what: str, folder: Path, free_bytes: int) -> Diagnosis:
    """Return what so much room means."""
    message = f"{free_bytes / _GIB:.1f} GiB free for {what} ({folder})"
    if free_bytes < _LEAST_BYTES:
        return Diagnosis(NAME, Health.FAULT, message, hint="df -h\npasserelle collect --expire")
    if free_bytes < _LITTLE_BYTES:
        return Diagnosis(NAME, Health.WARNING, message, hint="df -h")
    return fine(NAME, message)


def _nearest(folder: Path) -> Path:
    """Return the folder, or the first above it that is there."""
    folder = folder.absolute()
    return next(each for each in (folder, *folder.parents) if each.is_dir())
