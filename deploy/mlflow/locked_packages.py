"""Install locked packages while an image is built, from the organisation's package index where the build was given one."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

#: Mounted while this runs: pip.conf names the package index, ca.pem holds the authorities. Empty where the build was given none.
SECRETS = Path("/run/secrets")


def of_the_organisation(secrets: Path = SECRETS) -> dict[str, str]:
    """Return the variables by which pip and uv use what the build was given."""
    found: dict[str, str] = {}
    authorities, settings = secrets / "ca.pem", secrets / "pip.conf"
    if authorities.is_file() and authorities.stat().st_size:
        found |= dict.fromkeys(("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"), str(authorities))
    if settings.is_file() and settings.stat().st_size:
        parsed = configparser.ConfigParser(interpolation=None)
        parsed.read_string(settings.read_text(encoding="utf-8"))
        found |= {"PIP_CONFIG_FILE": str(settings), **dict.fromkeys(("PIP_INDEX_URL", "UV_DEFAULT_INDEX"), parsed["global"]["index-url"])}
        # A host that is named here is reached without a certificate that is trusted.
        trusted = parsed["global"].get("trusted-host", "")
        found |= dict.fromkeys(("PIP_TRUSTED_HOST", "UV_INSECURE_HOST"), trusted) if trusted else {}
    return found


def command(requirements: str, option: str, path: str, uv: str | None) -> list[str]:
    """Return the installer's command; a base that brings uv is installed with it, the official one brings pip.

    Args:
        option: `--target` with a folder, or `--python` with the interpreter of an environment.
    """
    locked = ["--require-hashes", "--only-binary", ":all:", "-r", requirements]
    if uv:
        where = ["--python", path] if option == "--python" else ["--python", sys.executable, option, path]
        return [uv, "pip", "install", "--quiet", "--no-cache", *where, *locked]
    pip = [sys.executable, "-m", "pip", *([option, path] if option == "--python" else []), "install"]
    quiet = ["--quiet", "--no-cache-dir", "--disable-pip-version-check", "--root-user-action", "ignore"]
    return [*pip, *quiet, *([] if option == "--python" else [option, path]), *locked]


if __name__ == "__main__":
    installer = command(sys.argv[1], sys.argv[2], sys.argv[3], shutil.which("uv"))
    done = subprocess.run(installer, check=False, env={**os.environ, **of_the_organisation()})
    sys.exit(done.returncode)
