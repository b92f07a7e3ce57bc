"""Files that hold secrets."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path

from passerelle.errors import OutsideError, shell_word
from passerelle.regular_file import read_regular_file

_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")


def private_key(path: Path) -> str:
    """Return the key in the file, made on first use: 32 random bytes in URL-safe base64, as Fernet and HMAC take them.

    Raises:
        OutsideError: The file cannot be read or written, or holds something else: what was encrypted with the former key would be lost.
    """
    try:
        if not path.exists():
            write_private(path, base64.urlsafe_b64encode(os.urandom(32)).decode() + "\n")
        key = read_regular_file(path).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise OutsideError(f"the key {path} cannot be read or written: {error}", hint=f"ls -l {shell_word(path)}") from error
    if not _KEY.fullmatch(key):
        raise OutsideError(
            f"{path} holds no key of 32 bytes in base64: restore it, or make a new one", hint=f"rm {shell_word(path)}; passerelle up"
        )
    return key


def write_private(path: Path, text: str) -> None:
    """Write the file in one step, readable by its owner alone."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)
