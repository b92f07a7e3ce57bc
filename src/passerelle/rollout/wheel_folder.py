"""The wheels that the workbench and the service's image are installed from, by the locks of the project."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from passerelle.errors import OutsideError, UsageError

#: The lock of the commands holds that of the service's image but for a few packages.
_LOCKS = ("workbench.txt", "service.txt", "scorer.txt", "uv.txt")
_TIMEOUT_S = 1_800.0


def fill(folder: Path, project: Path) -> int:
    """Download the wheels of the project's locks, build passerelle's own, and return how many there are.

    Raises:
        UsageError: The project has no locks.
        OutsideError: The package index does not give what was locked.
    """
    locks = [path for name in _LOCKS if (path := project / "requirements" / name).is_file()]
    if not locks:
        raise UsageError(f"{project} holds no requirements/{_LOCKS[0]}", hint="make lock")
    folder.mkdir(parents=True, exist_ok=True)
    for lock in locks:
        _pip("download", "--require-hashes", "--no-deps", "--only-binary", ":all:", "--dest", str(folder), "--requirement", str(lock))
    if (project / "src" / "passerelle" / "__init__.py").is_file():
        _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(project))
    wheels = sorted(folder.iterdir())
    broken = next((path.name for path in wheels if path.suffix != ".whl" or not zipfile.is_zipfile(path)), None)
    if broken is not None:
        raise OutsideError(f"the package index gave {broken}, which is no wheel: a page of a proxy, or a source", hint="pip config list")
    return len(wheels)


def _pip(*arguments: str) -> None:
    # What of the environment names an index, a proxy or an authority is pip's to read; nothing of it is written anywhere.
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet", *arguments]
    try:
        done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise OutsideError(f"the package index took longer than {_TIMEOUT_S:.0f} s", hint="pip config list") from error
    if done.returncode != 0:
        raise OutsideError(why(done.stderr), hint="pip config list\npasserelle doctor")


def why(output: str) -> str:
    """Return in a sentence why pip got no wheel, without the address of the index, which may hold a password."""
    if "No module named pip" in output:
        return f"pip is not installed beside {sys.executable}"
    if "DO NOT MATCH THE HASHES" in output:
        return "the package index gave another file than the one that was locked: a page of a proxy, or a changed package"
    if "CERTIFICATE_VERIFY_FAILED" in output:
        return "the certificate of the package index is not trusted here; PIP_CERT or REQUESTS_CA_BUNDLE names the authorities' file"
    if "No matching distribution" in output or "Could not find a version" in output:
        name = output.rpartition("No matching distribution found for ")[2].split(" ")[0].strip()[:80]
        return f"the package index lists no wheel of {name or 'a package'} that was locked: it lacks it, or answers with a page of a proxy"
    return "pip did not get the wheels: " + (output.strip().splitlines() or ["it said nothing"])[-1].split("http")[0][:200]
