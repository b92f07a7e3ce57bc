"""The hashes that locked requirements allow for each package."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from packaging.utils import canonicalize_name, canonicalize_version

#: SHA-256 of the distributions of each name and version.
Hashes = Mapping[tuple[str, str], Sequence[str]]
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?==([^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def pinned(name: str, version: str) -> tuple[str, str]:
    """Return name and version as they are the same however they are spelled."""
    return canonicalize_name(name), canonicalize_version(version)


def locked_hashes(requirements: Iterable[Path]) -> Hashes:
    """Return the hashes of all packages that these files lock in pip's format; what is locked without a hash is left out."""
    found: dict[tuple[str, str], set[str]] = {}
    for path in requirements:
        for line in path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
            pin, hashes = _PIN.match(line.strip()), _HASH.findall(line)
            if pin and hashes:
                found.setdefault(pinned(pin[1], pin[2]), set()).update(hashes)
    return {key: sorted(hashes) for key, hashes in found.items()}
