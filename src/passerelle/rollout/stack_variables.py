"""What deploy/.env gives to compose.yaml: people edit it."""

from __future__ import annotations

import os
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values

from passerelle.errors import SettingsError, shell_word
from passerelle.regular_file import read_regular_file


def variables_of_file(path: Path) -> dict[str, str]:
    """Return the variables of the file; none where there is no file.

    Raises:
        SettingsError: It cannot be read, or is not UTF-8.
    """
    if not os.path.lexists(path):
        return {}
    try:
        text = read_regular_file(path).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"{path} cannot be read: {why}", hint=f"ls -l {shell_word(path)}") from error
    return {name: value or "" for name, value in dotenv_values(stream=StringIO(text)).items()}
