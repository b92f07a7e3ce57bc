"""Fewer packages than this environment has: what runs in an image must do with those of the image's lock."""

from __future__ import annotations

import re
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]


def absent_modules(lock: Path) -> list[str]:
    """Return the modules of this environment's packages that the lock does not hold, but for passerelle."""
    locked = re.findall(r"^([\w.-]+)==", lock.read_text(encoding="utf-8"), re.MULTILINE)
    there = {canonicalize_name(each) for each in (*locked, "passerelle")}
    return [module for module, found in packages_distributions().items() if there.isdisjoint(map(canonicalize_name, found))]


def few_packages(folder: Path, lock: Path) -> str:
    """Return a PYTHONPATH for processes that shall find passerelle's code and the packages of the lock, and no others."""
    folder.mkdir()
    absent = absent_modules(lock)
    (folder / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({absent!r}))\n", encoding="utf-8")
    return f"{folder}:{ROOT / 'src'}"
