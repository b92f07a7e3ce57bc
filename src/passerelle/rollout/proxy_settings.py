"""What the stack's proxy is told by variables of compose.yaml, checked before it starts: Caddy names a line of its own file instead."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from passerelle.errors import SettingsError, shell_word
from passerelle.regular_file import read_regular_file

_TLS = ("internal", "own", "acme")
_FILES = ("PROXY_CERTIFICATE_FILE", "PROXY_KEY_FILE")
#: As Caddy reads durations.
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+")
_RUN = "passerelle up --target compose"


def check_proxy(values: Mapping[str, str], folder: Path) -> None:
    """Check the variables of the proxy.

    Args:
        values: As the environment and .env give them; an empty one counts as its default.
        folder: That of compose.yaml, to which the paths are relative.

    Raises:
        SettingsError: One has a value that the proxy would not start with.
    """
    tls = values.get("PROXY_TLS") or "internal"
    if tls not in _TLS:
        raise SettingsError(f"PROXY_TLS is '{tls}'; it is one of {', '.join(_TLS)}", hint=f"export PROXY_TLS=internal; {_RUN}")
    for name in _FILES if tls == "own" else ():
        _check_file(name, values.get(name) or "", folder)
    directory = values.get("ACME_DIRECTORY") or "https://"
    if tls == "acme" and not directory.startswith("https://"):
        raise SettingsError(
            f"ACME_DIRECTORY is '{directory}'; it is an address that begins with https://", hint=f"export ACME_DIRECTORY=URL; {_RUN}"
        )
    for name, example in (("ANSWER_TIMEOUT", "4s"), ("BATCH_TIMEOUT", "35s")):
        value = values.get(name) or example
        if not _DURATION.fullmatch(value):
            raise SettingsError(
                f"{name} is '{value}'; it is a duration with its unit, such as {example}", hint=f"export {name}={example}; {_RUN}"
            )


def _check_file(name: str, value: str, folder: Path) -> None:
    if not value:
        raise SettingsError(f"PROXY_TLS=own needs {name}, which is not set", hint=f"export {name}=./secrets/FILE.pem; {_RUN}")
    path = folder / value
    try:
        content = read_regular_file(path) if path.is_file() else b""
    except OSError as error:
        raise SettingsError(f"{name}: {path} cannot be read: {error.strerror}", hint=f"ls -l {shell_word(path)}") from error
    if b"-----BEGIN " not in content:
        what = "is no file in PEM" if path.exists() else "is not there"
        raise SettingsError(f"{name}: {path} {what}; its path is relative to {folder}", hint=f"export {name}=./secrets/FILE.pem; {_RUN}")
