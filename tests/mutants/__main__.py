"""`make mutants`: change the modules that decide, one place at a time, and count the changes that no unit test notices."""

from __future__ import annotations

import argparse
import random
import re
import sys
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.mutants.forks import FAILED, NOT_IMPORTED, PASSED, ROOT, Job, import_libraries, name_of, run_all
from tests.mutants.operators import Mutant, mutants_of

_SETTINGS: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutants"]
_LEAST_LIMIT_S = 8


def main() -> int:
    """Print the table and the survivors; return 1 where a module's share of killed mutants is below the least."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--count", default=str(_SETTINGS["count"]), help="mutants in all, or `all`")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("modules", nargs="*", default=[], help=f"of {', '.join(_SETTINGS['modules'])}; all by default")
    asked = parser.parse_args()
    modules = asked.modules or list(_SETTINGS["modules"])
    found = {module: list(_mutants(module)) for module in modules}
    drawn = found if asked.count == "all" else _drawn(found, int(asked.count))
    tests = {module: _files(f"tests/unit/**/{name}" for name in _SETTINGS["modules"][module]["tests"]) for module in modules}
    import_libraries([file for files in tests.values() for file in files])
    print(f"{'module':<12}{'mutants':>9}{'of':>7}{'killed':>9}{'survived':>10}{'share':>8}", flush=True)
    good = [_run(module, drawn[module], len(found[module]), tests[module], asked.workers) for module in modules]
    return 0 if all(good) else 1


def _mutants(module: str) -> list[Mutant]:
    equivalent = [re.compile(each["line"]) for each in _SETTINGS["equivalent"]]
    files = _files(f"src/passerelle/**/{name}" for name in _SETTINGS["modules"][module]["files"])
    return [mutant for path in files for mutant in mutants_of(path, equivalent)]


def _files(given: Iterable[str]) -> list[Path]:
    patterns = list(given)
    files = sorted({path for pattern in patterns for path in ROOT.glob(pattern)})
    if not files:
        sys.exit(f"no file matches {', '.join(patterns)}: see [tool.mutants] in pyproject.toml")
    return files


def _drawn(found: dict[str, list[Mutant]], count: int) -> dict[str, list[Mutant]]:
    """Return as many of each module's mutants as of any other; what a small module lacks, the larger ones get."""
    chance, left, drawn = random.Random(_SETTINGS["seed"]), count, {}  # noqa: S311 - a sample, not a secret
    for place, (module, mutants) in enumerate(sorted(found.items(), key=lambda item: len(item[1]))):
        share = left // (len(found) - place)
        drawn[module] = chance.sample(mutants, min(share, len(mutants)))
        left -= len(drawn[module])
    return drawn


def _run(module: str, mutants: Sequence[Mutant], of: int, tests: Sequence[Path], workers: int) -> bool:
    """Print the module's line and its survivors, and return whether enough were killed."""
    fixtures = _SETTINGS["modules"][module].get("fixtures", [])
    alone = {file: (code, seconds) for file in tests for _, code, seconds in run_all([Job("", "", [file], fixtures, 600)], 1)}
    failed = [str(file.relative_to(ROOT)) for file, (code, _) in alone.items() if code != PASSED]
    if failed:
        sys.exit(f"tests of {module} fail without any change: make test PYTEST_ARGS='{' '.join(failed)}'")
    quickest = sorted(tests, key=lambda file: alone[file][1])
    limit_s = max(_LEAST_LIMIT_S, int(5 * sum(seconds for _, seconds in alone.values())))
    jobs = [Job(name_of(mutant.path), mutant.source(), quickest, fixtures, limit_s) for mutant in mutants]
    survived = 0
    for place, code, _ in run_all(jobs, workers):
        if code > FAILED and code != NOT_IMPORTED:
            sys.exit(f"pytest ended with {code} on a mutant of {module}: its arguments or its files are not in order")
        if code == PASSED:
            survived += 1
            each = mutants[place]
            print(f"  {each.path.relative_to(ROOT)}:{each.line}: {each.operator} {each.occurrence}: {each.text}", flush=True)
    killed = len(mutants) - survived
    print(f"{module:<12}{len(mutants):>9}{of:>7}{killed:>9}{survived:>10}{killed / max(1, len(mutants)):>8.1%}", flush=True)
    return bool(killed >= _SETTINGS["least"] * len(mutants))


if __name__ == "__main__":
    sys.exit(main())
