"""The variables that send requests to a proxy: to what address, and how an address is kept away from it; loopback always is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit
from urllib.request import proxy_bypass

_KINDS = ("http_proxy", "https_proxy", "all_proxy")
_EXCEPT = "no_proxy"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def loopback_direct(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables that keep loopback addresses away from the proxy; nothing where none is named, or they keep away already.

    Args:
        environment: Variables; by default those of this process.
    """
    environment = os.environ if environment is None else environment
    if not any(environment.get(name) for kind in _KINDS for name in (kind, kind.upper())):
        return {}
    former = environment.get(_EXCEPT) or environment.get(_EXCEPT.upper()) or ""
    hosts = [host.strip() for host in former.split(",") if host.strip()]
    if "*" in hosts:
        return {}
    joined = ",".join([*hosts, *(host for host in _LOOPBACK if host not in hosts)])
    values = {_EXCEPT: joined, _EXCEPT.upper(): joined}
    return {} if all(environment.get(name) == value for name, value in values.items()) else values


def proxy_variable(address: str) -> str | None:
    """Return the variable that sends what is asked of an address to a proxy; None where none does."""
    parts = urlsplit(address)
    names = (name for kind in (f"{parts.scheme}_proxy", "all_proxy") for name in (kind, kind.upper()))
    found = next((name for name in names if os.environ.get(name)), None)
    return None if found is None or not parts.hostname or proxy_bypass(parts.hostname) else found


def through_proxy(address: str) -> str:
    """Return what a message about an address that does not answer says of a proxy; nothing where none is asked."""
    variable = proxy_variable(address)
    return f": {variable} sends what is asked of it to a proxy" if variable else ""


def past_proxy(address: str, hint: str) -> str:
    """Return the hint with the line in front that keeps the address away from the proxy, where one is asked."""
    if proxy_variable(address) is None:
        return hint
    variable = _EXCEPT if os.environ.get(_EXCEPT) else _EXCEPT.upper()
    hosts = ",".join(filter(None, (os.environ.get(variable), urlsplit(address).hostname)))
    return f"export {variable}={hosts}\n{hint}"
