"""Secrets from files: for each variable of a secret, one that ends in `_FILE` and names the file that holds it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, get_args

from pydantic import AliasChoices, SecretStr
from pydantic_settings import BaseSettings

from passerelle.errors import SettingsError
from passerelle.regular_file import read_regular_file

#: What the name of a variable ends in that names a file in place of a secret.
FILE: Final = "_FILE"
#: Tokens are some kilobytes.
_MOST_BYTES: Final = 65_536


def secret_variables(group: type[BaseSettings]) -> Iterator[tuple[str, bool]]:
    """Yield each variable that a secret of a group of settings is read from, and whether a setting of its own names the secret's file."""
    for field, info in group.model_fields.items():
        if SecretStr in (info.annotation, *get_args(info.annotation)):
            own = f"{group.model_config['env_prefix']}{field.upper()}"
            alias = info.validation_alias
            names = [str(name) for name in alias.choices if str(name).isupper()] if isinstance(alias, AliasChoices) else [own]
            for name in names:
                # Such a file is read again whenever its secret is used: it may be replaced while a service runs.
                yield name, name == own and f"{field}{FILE.lower()}" in group.model_fields


def with_secrets(environment: Mapping[str, str], *groups: type[BaseSettings]) -> dict[str, str]:
    """Return the variables with the secrets that files hold in the place of the files' names.

    Args:
        environment: Variables as `os.environ` holds them.
        groups: The settings whose secrets are looked for.

    Raises:
        SettingsError: A secret is given twice, or its file cannot be read, is empty or too large, or is not one text; never quotes it.
    """
    found = dict(environment)
    for name, own in {pair for group in groups for pair in secret_variables(group)}:
        file = environment.get(name + FILE)
        if file is None:
            continue
        if name in environment:
            message = f"{name} and {name}{FILE} are both set: one secret, and two places that may differ"
            raise SettingsError(message, hint=f"unset {name}\nunset {name}{FILE}")
        if not own:
            del found[name + FILE]
            found[name] = _secret(name + FILE, file)
    return found


def _secret(variable: str, name: str) -> str:
    """Return the text of a file without the end of its last line, which editors add."""
    where = f"{name or 'an empty name'}, which {variable} names,"
    try:
        content = read_regular_file(Path(name), _MOST_BYTES).decode().rstrip("\r\n")
    except OSError as error:
        raise SettingsError(
            f"{where} cannot be read: {error.strerror}", hint=f"ls -l {shlex.quote(name)}" if name else f"unset {variable}"
        ) from error
    except UnicodeDecodeError:
        raise SettingsError(f"{where} is not UTF-8", hint=f"unset {variable}") from None
    if not content or "\0" in content:
        raise SettingsError(f"{where} {'holds a null byte' if content else 'is empty'}", hint=f"unset {variable}")
    return content
