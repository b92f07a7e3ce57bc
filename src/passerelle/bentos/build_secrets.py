"""The package index and the authorities that a build uses and no layer holds: mounted as secrets while packages are installed."""

from __future__ import annotations

import configparser
import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from passerelle.bentos.engine import ask
from passerelle.errors import OutsideError, SettingsError, shell_word
from passerelle.regular_file import read_regular_file

if TYPE_CHECKING:
    from passerelle.build_settings import BuildSettings

PIP_CONF, CA = "pip.conf", "ca.pem"
#: Where install.py looks for them.
_FOLDER = "/run/secrets"
_INSTALLS = re.compile(r"^RUN (?=python3 /tools/(?:install\.py|model_environment\.py make))", re.MULTILINE)
_IN_ADDRESS = re.compile(r"(://)[^/\s@]+@")


def build_secrets(settings: BuildSettings) -> dict[str, Path]:
    """Return the files that a build gets, by the name that each has there.

    Raises:
        SettingsError: A file cannot be read, or is not what its setting says.
    """
    found = {}
    if settings.build_pip_conf is not None:
        _check_pip_conf(settings.build_pip_conf)
        found[PIP_CONF] = settings.build_pip_conf.resolve()
    if settings.build_ca is not None:
        _check_ca(settings.build_ca)
        found[CA] = settings.build_ca.resolve()
    return found


def build_variables(settings: BuildSettings) -> dict[str, str]:
    """Return the settings' variables with paths that hold in every folder: compose takes others as relative to compose.yaml."""
    paths = {"build_pip_conf": settings.build_pip_conf, "build_ca": settings.build_ca}
    return {_variable(name): str(path.resolve()) for name, path in paths.items() if path is not None}


def _variable(field: str) -> str:
    from passerelle.build_settings import BuildSettings  # noqa: PLC0415 - commands that build nothing do not wait for the settings
    from passerelle.settings import variable_of  # noqa: PLC0415 - the same

    return variable_of(BuildSettings, field)


def mounting(dockerfile: str, secrets: Mapping[str, Path]) -> str:
    """Return the Dockerfile with the secrets mounted where it installs packages, and nowhere else."""
    mounts = "".join(f"--mount=type=secret,id={name},target={_FOLDER}/{name} " for name in sorted(secrets))
    return _INSTALLS.sub(f"RUN {mounts}", dockerfile)


def mount(dockerfile: Path, secrets: Mapping[str, Path]) -> None:
    """Rewrite a Dockerfile with the secrets mounted; it stays as it is where there are none."""
    if secrets:
        dockerfile.write_text(mounting(dockerfile.read_text(encoding="utf-8"), secrets), encoding="utf-8")


def secret_arguments(engine: str, secrets: Mapping[str, Path]) -> list[str]:
    """Return the arguments by which an engine's build gets the secrets.

    Raises:
        OutsideError: This Docker builds without BuildKit, which alone knows secrets.
    """
    former = os.environ.get("DOCKER_BUILDKIT") == "0"
    if secrets and engine == "docker" and (former or ask("docker", "buildx", "version").returncode != 0):
        raise OutsideError(
            "this docker builds without BuildKit, and only BuildKit keeps secrets out of an image", hint="docker buildx version"
        )
    return [part for name, path in sorted(secrets.items()) for part in ("--secret", f"id={name},src={path}")]


def without_passwords(output: str) -> str:
    """Return what a build said without user and password of an address."""
    return _IN_ADDRESS.sub(r"\1****@", output)


def _check_pip_conf(path: Path) -> None:
    parsed = configparser.ConfigParser(interpolation=None)
    variable = _variable("build_pip_conf")
    try:
        parsed.read_string(read_regular_file(path).decode())
    except OSError as error:
        raise SettingsError(
            f"{path}, which {variable} names, cannot be read: {error.strerror}", hint=f"ls -l {shell_word(path)}"
        ) from error
    except (UnicodeDecodeError, configparser.Error):
        # Its words would quote the line, which may hold a password.
        raise SettingsError(f"{path}, which {variable} names, is not in pip's format", hint=f"unset {variable}") from None
    if not parsed.get("global", "index-url", fallback=""):
        raise SettingsError(f"{path}, which {variable} names, has no index-url in [global]", hint=f"unset {variable}")


def _check_ca(path: Path) -> None:
    variable = _variable("build_ca")
    try:
        ssl.create_default_context(cafile=str(path))
    except ssl.SSLError as error:
        message = f"{path}, which {variable} names, holds no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----"
        raise SettingsError(message, hint=f"openssl x509 -inform der -in {shell_word(path)} -out {shell_word(path)}.pem") from error
    except OSError as error:
        raise SettingsError(
            f"{path}, which {variable} names, cannot be read: {error.strerror}", hint=f"ls -l {shell_word(path)}"
        ) from error
