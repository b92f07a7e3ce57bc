"""Print the branch coverage of a run as a short table: `coverage_by_folder.py coverage.json`, one line a package folder."""

import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

COUNTED = ("num_statements", "covered_lines", "num_branches", "covered_branches")


def folder_of(path: str) -> str:
    """Return the package folder of a file: `passerelle/serving`, `training`."""
    parts = PurePosixPath(path).parts
    parts = parts[1:] if parts[0] == "src" else parts
    return "/".join(parts[: min(2, len(parts) - 1)])


def table(files: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the lines of the table, the last one for all of them.

    Args:
        files: As `coverage json` writes them.
    """
    folders: dict[str, Counter[str]] = {}
    for path, file in sorted(files.items()):
        counts = Counter({name: file["summary"][name] for name in COUNTED})
        for name in (folder_of(path), "all"):
            folders.setdefault(name, Counter()).update(counts)
    folders["all"] = folders.pop("all", Counter())
    lines = [f"{'coverage of the unit tests':<28} {'statements':>10} {'branches':>9} {'covered':>8}"]
    for name, counts in folders.items():
        covered, most = (counts[first] + counts[second] for first, second in (COUNTED[1::2], COUNTED[0::2]))
        share = f"{100 * covered / most:.0f} %" if most else "-"
        lines.append(f"{name:<28} {counts['num_statements']:>10} {counts['num_branches']:>9} {share:>8}")
    return lines


if __name__ == "__main__":
    print(*table(json.loads(Path(sys.argv[1]).read_text())["files"]), sep="\n")  # noqa: T201 - what it is for
