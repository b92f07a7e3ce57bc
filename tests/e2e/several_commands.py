"""Several commands in one process, as if each were typed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Runs each command, then prints its exit code, what it said, and which of the modules have been imported by then.
_EACH = """
import contextlib, io, json, sys
from passerelle.cli.main import run
for command in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            run(command.split())
            code = 0
        except SystemExit as end:
            code = end.code or 0
    print(json.dumps([code, out.getvalue(), err.getvalue(), [name for name in json.loads(sys.argv[2]) if name in sys.modules]]))
"""


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str
    imported: Sequence[str]


def answers(
    python: str | Path, folder: Path, environment: Mapping[str, str], *commands: str, modules: Sequence[str] = ()
) -> dict[str, Answer]:
    """Return what each command answers in this folder, and which of the modules had been imported by then."""
    done = subprocess.run(
        [str(python), "-c", _EACH, json.dumps(commands), json.dumps(modules)],
        cwd=folder, env=dict(environment), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {command: Answer(*json.loads(line)) for command, line in zip(commands, done.stdout.splitlines(), strict=True)}
