"""The options that a file of requirements may hold besides packages: which change nothing, and which only the operator can decide about."""

from __future__ import annotations

import re

from passerelle.environments.uv import environment_of_uv
from passerelle.errors import UsageError, shell_word

#: The lock is made of wheels with hashes anyway.
_WITHOUT_EFFECT = frozenset({"--prefer-binary", "--only-binary", "--require-hashes", "--use-pep517", "--no-cache-dir", "-U", "--upgrade"})
_PUBLIC_INDEX = re.compile(r"^https://pypi\.(?:org|python\.org)/simple/?$")
#: Variables of uv by which the operator names an index, by the options of pip that do.
_BY_OPTION = {
    "-i": ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"),
    "--index-url": ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"),
    "--pypi-url": ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"),
    "--extra-index-url": ("UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "-f": ("UV_FIND_LINKS",),
    "--find-links": ("UV_FIND_LINKS",),
    "--trusted-host": ("UV_INSECURE_HOST",),
}


def is_without_effect(option: str, value: str) -> bool:
    """Return whether the option changes nothing here: it is kept anyway, names PyPI, or an index that the operator names too."""
    if option in _WITHOUT_EFFECT or (option in _BY_OPTION and _PUBLIC_INDEX.match(value)):
        return True
    environment = environment_of_uv()
    given = " ".join(environment.get(name, "") for name in _BY_OPTION.get(option, ()))
    return _bare(value) in {_bare(each) for each in re.split(r"[\s,]+", given) if each}


def refuse_option(line: str, option: str, source: str) -> str | None:
    """Return what is wrong with an option that overrides may stand for; None for what installs from an address.

    Raises:
        UsageError: It names an index: that is for the operator to name, in uv's own variables.
    """
    if option in {"", "-e", "--editable"}:
        return None
    value = line.replace("=", " ", 1).partition(" ")[2].strip()
    if option in _BY_OPTION and value:
        address = re.sub(r"://[^/\s@]*@", "://", value)[:200]
        message = f"the model's {source} names the index or host {address} ({option}); packages come from the indexes that you name alone"
        raise UsageError(message, hint=f"export {_BY_OPTION[option][0]}={shell_word(address)}; passerelle adopt models:/NAME/VERSION")
    return "is an option of pip that is not taken over"


def _bare(address: str) -> str:
    """Return an address without name of the index, user, password and the last slash."""
    return re.sub(r"://[^/\s@]*@", "://", address.rpartition("=")[2] if "=" in address.partition("://")[0] else address).rstrip("/").lower()
