"""What `--version` prints: which passerelle this is, and the BentoML and the MLflow that it leans on."""

from __future__ import annotations

import json
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from pathlib import Path

import passerelle

_TIMEOUT_S = 10
#: Written into the wheel by hatch_build.py.
_WRITTEN = Path(passerelle.__file__).with_name("commit.txt")


@dataclass(frozen=True)
class Version:
    """Versions as they are installed, read from metadata: nothing slow is imported.

    Attributes:
        commit: Of the checkout, or the one that was built or installed from; ends with `-dirty` where tracked files differ from it. None
            where it is unknown.
        bentoml: None where BentoML is not installed.
        mlflow: None where MLflow is not installed.
    """

    passerelle: str
    commit: str | None
    bentoml: str | None
    mlflow: str | None
    python: str

    def __str__(self) -> str:
        """The lines for a person."""
        others = (f"{name} {found or 'not installed'}" for name, found in (("BentoML", self.bentoml), ("MLflow", self.mlflow)))
        commit = f"commit {self.commit}" if self.commit else "unknown commit"
        return f"passerelle {self.passerelle} ({commit})\n{', '.join(others)}, Python {self.python}"


def installed_version() -> Version:
    """Return the versions of this environment."""
    return Version(passerelle.__version__, _commit(), _installed("bentoml"), _installed("mlflow"), platform.python_version())


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    checkout = Path(passerelle.__file__).resolve().parents[2]
    if (checkout / ".git").exists() and (checkout / "pyproject.toml").is_file():
        return described(checkout)
    if _WRITTEN.is_file():
        return _WRITTEN.read_text(encoding="utf-8").strip()
    try:
        return installed_from(distribution("passerelle"))
    except PackageNotFoundError:
        return None


def described(checkout: Path) -> str | None:
    """Return the commit of a checkout, with `-dirty` where tracked files differ from it; None where git does not tell."""
    command = ["git", "-C", str(checkout), "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def installed_from(found: Distribution) -> str | None:
    """Return the commit that a package was installed from, as PEP 610 records it for `pip install git+…`."""
    try:
        commit = json.loads(found.read_text("direct_url.json") or "")["vcs_info"]["commit_id"]
    except (ValueError, KeyError, TypeError):
        return None
    return str(commit)[:12]
