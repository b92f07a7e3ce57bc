"""Tests run on a changed module, in a process forked from one that has imported all libraries already. No file is written."""

from __future__ import annotations

import importlib
import os
import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
#: Ours: imported anew by each process, so that the changed module is the one that all others get.
_OURS = ("passerelle", "tests", "training", "conftest")
#: The fixtures of the other tests import all of the package, which takes seconds.
ARGUMENTS = ("-q", "--noconftest", "-p", "tests.profiles", "-p", "no:cacheprovider", "-n", "0")
#: Exit codes of pytest; a test file that could not be imported interrupts it.
PASSED, FAILED, NOT_IMPORTED = 0, 1, 2


@dataclass(frozen=True)
class Job:
    """One run of tests.

    Attributes:
        name: Of the changed module; empty for none.
        source: Its changed content.
        tests: Files, the quickest first.
        fixtures: Modules of fixtures that the tests need.
        limit_s: Processor time that the run may take; twenty times that on the clock, for what waits for ever.
    """

    name: str
    source: str
    tests: Sequence[Path]
    fixtures: Sequence[str]
    limit_s: int


class _Changed(SourceFileLoader):
    """Loads a module from a source that is not in its file."""

    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - it is made for one module
        return compile(self._source, self.path, "exec", dont_inherit=True)


class _Finder(MetaPathFinder):
    def __init__(self, name: str, source: str) -> None:
        self._name, self._source = name, source

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:  # noqa: ARG002
        if fullname != self._name:
            return None
        file = str(file_of(fullname))
        loader: Loader = _Changed(fullname, file, self._source)
        return spec_from_file_location(fullname, file, loader=loader)


def name_of(path: Path) -> str:
    """Return the name that the file of a module is imported by."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


def file_of(name: str) -> Path:
    """Return the file of a module."""
    path = SOURCE.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def import_libraries(tests: Sequence[Path]) -> None:
    """Import all that these tests import, and forget what is ours of it."""
    reading, writing = os.pipe()
    if not os.fork():
        os.close(reading)
        _silent()
        pytest.main(["--collect-only", *ARGUMENTS, *map(str, tests)])
        with os.fdopen(writing, "w") as file:
            file.write("\n".join(name for name in sys.modules if name.partition(".")[0] not in _OURS))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        names = file.read().split("\n")
    os.wait()
    for name in names:
        # Some modules are made by others, or for other systems.
        with suppress(Exception):
            importlib.import_module(name)


def run_all(jobs: Sequence[Job], workers: int) -> Iterator[tuple[int, int, float]]:
    """Run the jobs, a few at a time, and yield the place of each one that ended, its exit code, and the processor time that it took.

    The exit code is negative where a limit ended the process.
    """
    waiting, running = list(enumerate(jobs))[::-1], dict[int, int]()
    while waiting or running:
        while waiting and len(running) < workers:
            place, job = waiting.pop()
            running[_started(job)] = place
        pid, status, used = os.wait4(-1, 0)
        yield running.pop(pid), os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime


def _started(job: Job) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = FAILED
    try:
        _silent()
        resource.setrlimit(resource.RLIMIT_CPU, (job.limit_s, job.limit_s + 5))
        signal.setitimer(signal.ITIMER_REAL, 20 * job.limit_s)
        if job.name:
            sys.meta_path.insert(0, _Finder(job.name, job.source))
        # One by one: a file is not even imported where a quicker one notices.
        asked = ["-x", "--timeout=0", *ARGUMENTS, *(f"-p{each}" for each in job.fixtures)]
        code = next((failed for file in job.tests if (failed := int(pytest.main([*asked, str(file)])))), PASSED)
    finally:
        os._exit(code)


def _silent() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
