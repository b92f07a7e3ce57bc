"""Install locked packages into a folder from their hashes, and leave out what a service never reads. Runs while an image is built."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

from symbols import leave_out_symbols

#: Tests, sources that were compiled into the wheels, types, and the data sets that scikit-learn ships to learn with.
FOLDERS = ("tests", "test", "__pycache__")
SUFFIXES = frozenset({".pyi", ".pyx", ".pxd", ".h", ".hpp", ".c", ".cpp", ".a", ".f", ".f90", ".tp", ".in"})
PLACES = ("bin", "share", "include", "sklearn/datasets/data", "sklearn/datasets/descr", "sklearn/datasets/images")
#: Compiled for the packages' own tests.
TESTS = ("numpy/_core/_simd.*.so", "numpy/_core/_*_tests.*.so", "scipy/*/_test_*.so", "scipy/*/*/_test_*.so")


#: Of the organisation, mounted while this runs: pip.conf names its package index, ca.pem holds its authorities.
SECRETS = Path("/run/secrets")


def of_the_organisation(secrets: Path = SECRETS) -> dict[str, str]:
    """Return the variables by which pip and uv use the index and the authorities that the build was given; none where it got none."""
    found: dict[str, str] = {}
    authorities, settings = secrets / "ca.pem", secrets / "pip.conf"
    if authorities.is_file():
        found |= dict.fromkeys(("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"), str(authorities))
    if settings.is_file():
        parsed = configparser.ConfigParser(interpolation=None)
        parsed.read_string(settings.read_text(encoding="utf-8"))
        found |= {"PIP_CONFIG_FILE": str(settings), **dict.fromkeys(("PIP_INDEX_URL", "UV_DEFAULT_INDEX"), parsed["global"]["index-url"])}
        # A host that is named here is reached without a certificate that is trusted.
        trusted = parsed["global"].get("trusted-host", "")
        found |= dict.fromkeys(("PIP_TRUSTED_HOST", "UV_INSECURE_HOST"), trusted) if trusted else {}
    return found


def install(requirements: Path, target: Path, wheels: Path) -> None:
    """Install what the file locks; from the folder of wheels alone, where it holds any."""
    offline = ["--no-index", "--find-links", str(wheels)] if any(wheels.glob("*.whl")) else []
    options = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--target", str(target), *offline, "-r", str(requirements)]
    uv = shutil.which("uv")
    if uv:
        command = [uv, "pip", "install", "--quiet", "--no-cache", "--link-mode", "copy", "--python", sys.executable, *options]
    else:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-cache-dir", "--no-compile", "--disable-pip-version-check",
                   "--root-user-action", "ignore", *options]  # fmt: skip
    subprocess.run(command, check=True, env={**os.environ, **of_the_organisation()})


def leave_out(target: Path) -> None:
    """Remove what only a developer of the packages needs."""
    for place in PLACES:
        shutil.rmtree(target / place, ignore_errors=True)
    for folder in sorted(path for name in FOLDERS for path in target.rglob(name) if path.is_dir()):
        shutil.rmtree(folder, ignore_errors=True)
    for path in target.rglob("*"):
        if path.suffix in SUFFIXES and path.is_file():
            path.unlink()
    for path in [path for pattern in TESTS for path in target.glob(pattern)]:
        path.unlink()
    for path in target.rglob("*.so*"):
        leave_out_symbols(path)
    (target / ".lock").unlink(missing_ok=True)


if __name__ == "__main__":
    install(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
    leave_out(Path(sys.argv[2]))
