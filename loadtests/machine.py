"""What a figure was measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import psutil


def describe_machine(*packages: str) -> dict[str, str | int]:
    """Return processor, cores, memory in MiB, system, Python, and the versions of the packages; nothing that names the machine."""
    described: dict[str, str | int] = {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "memory_mib": psutil.virtual_memory().total // 2**20,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
    return described | {name: version(name) for name in packages}


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process and of its descendants, in MiB; pages that they share count for each.

    Raises:
        psutil.NoSuchProcess: One has ended meanwhile.
    """
    leader = psutil.Process(pid)
    return float(sum(each.memory_info().rss for each in [leader, *leader.children(recursive=True)])) / 2**20


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())
