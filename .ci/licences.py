"""Check the licence of each package in requirements/*.txt, as the installed package states it, against .ci/licences.toml."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from packaging.markers import Marker

ROOT = Path(__file__).resolve().parents[1]
_PINNED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==\S+(?: *; *(?P<marker>[^\\\n]+))?", re.MULTILINE)
_CLASSIFIER = "License :: "


def locked(requirements: str) -> list[str]:
    """Return the names of the packages that a lock file installs on this machine."""
    found = _PINNED.finditer(requirements)
    return [each["name"] for each in found if each["marker"] is None or Marker(each["marker"].strip()).evaluate()]


def stated(name: str) -> list[str]:
    """Return what an installed package states as its licence: the SPDX expression, or else its classifiers, or else its free text."""
    fields = metadata(name)
    if expressions := fields.get_all("License-Expression"):
        return list(expressions)
    classifiers = [each.removeprefix(_CLASSIFIER) for each in fields.get_all("Classifier") or () if each.startswith(_CLASSIFIER)]
    specific = [each for each in classifiers if each != "OSI Approved"]
    texts = [line for text in fields.get_all("License") or () for line in text.strip().splitlines()]
    return specific or texts[:1]


def refused(licences: Mapping[str, Iterable[str]], *, allowed: Iterable[str], reviewed: Mapping[str, str]) -> list[str]:
    """Return one line for each package with a licence that is not allowed.

    Args:
        licences: What each package states.
        allowed: Regular expressions; one must match the whole of what is stated.
        reviewed: Packages that were looked at, with the reason why they may be used.
    """
    pattern = re.compile("|".join(f"(?:{each})" for each in allowed), re.IGNORECASE)
    lines = []
    for name, texts in sorted(licences.items()):
        given = list(texts)
        if name not in reviewed and not (given and all(pattern.fullmatch(text) for text in given)):
            lines.append(f"{name}: {'; '.join(given) or 'states no licence'}")
    return lines


def main() -> None:
    """Check every lock file; exits with the packages that are refused."""
    rules = tomllib.loads((ROOT / ".ci" / "licences.toml").read_text(encoding="utf-8"))
    names = {name for path in sorted((ROOT / "requirements").glob("*.txt")) for name in locked(path.read_text(encoding="utf-8"))}
    licences, missing = {}, []
    for name in names:
        try:
            licences[name] = stated(name)
        except PackageNotFoundError:
            if name not in rules["reviewed"]:
                missing.append(name)
    if missing:
        message = f"not installed, so that their licences are unknown: {', '.join(sorted(missing))}"
        sys.exit(f"{message}; next: make environment, or review them in .ci/licences.toml")
    lines = refused(licences, allowed=rules["allowed"], reviewed=rules["reviewed"])
    if lines:
        sys.exit("these licences are not in .ci/licences.toml:\n  " + "\n  ".join(lines))
    stale = sorted(set(rules["reviewed"]) - names)
    if stale:
        sys.exit(f".ci/licences.toml reviews packages that are not locked: {', '.join(stale)}")
    sys.stdout.write(f"{len(licences)} locked packages: each licence is allowed\n")


if __name__ == "__main__":
    main()
