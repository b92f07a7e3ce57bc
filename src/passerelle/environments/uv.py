"""uv as a process: with what it needs of the environment and no secret of ours, and its words shortened where it fails."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from passerelle.errors import OutsideError

_NAMES = frozenset({"PATH", "HOME", "USER", "LOGNAME", "LANG", "TMPDIR", "NETRC", "REQUESTS_CA_BUNDLE"})
_PREFIXES = ("LC_", "XDG_", "SSL_", "UV_")
_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})
#: What decides about where and what is installed, which is not for the environment to say.
_NOT_GIVEN = frozenset(
    {"UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_TARGET", "UV_PREFIX", "UV_PROJECT_ENVIRONMENT", "UV_CONSTRAINT", "UV_OVERRIDE"}
)
_MOST_LINES, _LONGEST_LINE = 6, 400


@dataclass(frozen=True)
class UvFailure:
    """What uv said when it failed: its causes and hints, one a line, bounded and without passwords."""

    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The lines, indented."""
        return "\n".join(f"    {line}" for line in self.lines)


def environment_of_uv() -> dict[str, str]:
    """Return the variables that uv is run with."""
    return {
        name: value
        for name, value in os.environ.items()
        if (name in _NAMES or name.startswith(_PREFIXES) or name.lower() in _PROXIES) and name not in _NOT_GIVEN
    }


def run_uv(arguments: Sequence[str], *, folder: Path | None = None, timeout_s: float = 1_800.0) -> str | UvFailure:
    """Return what uv printed, or what it said when it failed.

    Args:
        folder: Where it is run.

    Raises:
        OutsideError: There is no uv, or it does not end in time.
    """
    command = [program(), *arguments]
    environment = environment_of_uv() | {"NO_COLOR": "1", "UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never"}
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired as error:
        raise OutsideError(f"uv {arguments[0]} took longer than {timeout_s:.0f} s", hint="uv cache prune") from error
    return done.stdout if done.returncode == 0 else UvFailure(_shortened(done.stderr or done.stdout))


def program() -> str:
    """Return the path of uv: beside this Python, or on the PATH.

    Raises:
        OutsideError: There is none.
    """
    found = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
    if found is None:
        raise OutsideError("the environment of an adopted model cannot be made: there is no uv", hint="pip install uv")
    return found


def _shortened(output: str) -> tuple[str, ...]:
    """Return the causes of an error of uv: without warnings, addresses' passwords, and what goes on and on."""
    error = output[output.find("error:") :] if "error:" in output else output
    lines = [re.sub(r"://[^/\s@]*@", "://", line).strip() for line in error.splitlines()]
    plain = [re.sub(r"^(?:error|cause|hint|×|╰─▶|├─▶|│):?\s*", "", line) for line in lines if line]
    kept = [line for line in plain if line and line != "No solution found when resolving dependencies"]
    return tuple(line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + "..." for line in kept[:_MOST_LINES])
