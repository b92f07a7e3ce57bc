"""The shell completes commands, options and targets, and imports nothing slow for it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from passerelle.cli.main import OPERATIONS, STAGES, passerelle

ROOT = Path(__file__).resolve().parents[2]


def completed(*words: str) -> list[str]:
    *before, last = words
    return [item.value for item in ShellComplete(passerelle, {}, "passerelle", "_PASSERELLE_COMPLETE").get_completions(before, last)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("stat",), ["status"]),
        (("deploy", "--target", ""), ["local", "compose", "kubernetes"]),
        (("env", "--target", "c"), ["compose"]),
        (("keys", ""), ["list", "make", "revoke"]),
        (("promote", "--wai"), ["--waive"]),
    ],
    ids=" ".join,
)
def test_what_is_completed(words: tuple[str, ...], expected: list[str]) -> None:
    assert sorted(completed(*words)) == sorted(expected)


def test_every_command_is_offered() -> None:
    assert completed("") == [command.name for command in (*STAGES, *OPERATIONS)]


def test_the_line_of_the_readme_works_in_bash() -> None:
    (line,) = re.findall(r"^eval .*_PASSERELLE_COMPLETE.*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    asked = 'COMP_WORDS=(passerelle env --target c) COMP_CWORD=3; _passerelle_completion passerelle; echo "${COMPREPLY[@]}"'
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euc", f"{line}\n{asked}"], env=environment, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )
    assert done.stdout.split() == ["compose"], done.stderr


def test_completing_imports_nothing_slow() -> None:
    code = (
        "import sys, atexit; atexit.register(lambda: print([m for m in ('mlflow', 'bentoml', 'pydantic') if m in sys.modules]))\n"
        "from passerelle.cli.main import run; run()"
    )
    given = os.environ | {"_PASSERELLE_COMPLETE": "bash_complete", "COMP_WORDS": "passerelle deploy --target ", "COMP_CWORD": "3"}
    done = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines() == ["plain,local", "plain,compose", "plain,kubernetes", "[]"], done.stderr
