"""Where a request comes from: the address of the connection, or of the client behind a proxy that a setting names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from passerelle.errors import SettingsError

Address = IPv4Address | IPv6Address
#: Stands, among the proxies, for whoever connects to a Unix socket.
UNIX: Final = "unix"
UNKNOWN: Final = "unknown"
_FORWARDED_FOR, _FORWARDED = b"x-forwarded-for", b"forwarded"
#: Most hops that are looked at, from the right.
_MOST_HOPS: Final = 16
_LONGEST_HOP: Final = 64
#: The part of an IPv6 address that a provider gives to one customer.
_CUSTOMER_BITS: Final = 64
_FOR = re.compile(rb'(?:^|;)\s*for=(?:"([^"]*)"|([^;\s]*))', re.IGNORECASE)
_WITH_PORT = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<v4>[0-9.]+))(?::\d{1,5})?")


class Proxies:
    """The proxies whose word on their client's address counts; nobody else's does.

    Args:
        text: Addresses and networks, and `unix`, with commas between.

    Raises:
        SettingsError: It names something else.
    """

    def __init__(self, text: str) -> None:
        named = [each.strip() for each in text.split(",") if each.strip()]
        self._unix = UNIX in named
        try:
            self._networks: tuple[IPv4Network | IPv6Network, ...] = tuple(ip_network(each) for each in named if each != UNIX)
        except ValueError:
            raise SettingsError(
                "PASSERELLE_TRUSTED_PROXIES names something that is no address, no network and not 'unix'",
                hint="export PASSERELLE_TRUSTED_PROXIES=10.0.0.7,fd00::/8\nunset PASSERELLE_TRUSTED_PROXIES",
            ) from None

    def __bool__(self) -> bool:
        """Whether any is named."""
        return self._unix or bool(self._networks)

    def trusts(self, peer: Address | None) -> bool:
        """Return whether this is one of them; None is whoever connects to a Unix socket."""
        return self._unix if peer is None else any(peer in network for network in self._networks)

    def client_of(self, headers: Iterable[tuple[bytes, bytes]]) -> Address | None:
        """Return the client's address: the last hop that is none of these proxies. None where they name none, or two different ones.

        Args:
            headers: Of a request that one of these proxies sent, as they came.
        """
        given = [(name, value) for name, value in headers if name in (_FORWARDED_FOR, _FORWARDED)]
        found = {self._last_hop(name, [value for each, value in given if each == name]) for name in {name for name, _ in given}}
        return found.pop() if len(found) == 1 else None

    def _last_hop(self, name: bytes, values: list[bytes]) -> Address | None:
        hop: Address | None = None
        # Whatever stands further to the left was sent by a client, which may say what it likes.
        for text in reversed(b",".join(values).rsplit(b",", _MOST_HOPS)[-_MOST_HOPS:]):
            hop = _address_in(text.strip() if name == _FORWARDED_FOR else _for_of(text))
            if hop is None or not self.trusts(hop):
                return hop
        return hop


def client_name(address: Address | None) -> str:
    """Return what a client without a key is counted by: its address, and of IPv6 the part that one customer has."""
    if address is None:
        return UNKNOWN
    return str(address) if address.version == 4 else str(ip_network((address, _CUSTOMER_BITS), strict=False))  # noqa: PLR2004 - the protocol


@lru_cache(maxsize=1_024)
def address_of(host: str) -> Address | None:
    """Return the address of a host as the server has it; an IPv4 address in IPv6 notation is one. None for a path or a name."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _for_of(element: bytes) -> bytes:
    """Return what an element of `Forwarded` says of the client, RFC 7239; empty where it says nothing."""
    found = _FOR.search(element)
    return b"" if found is None else found[1] or found[2] or b""


def _address_in(hop: bytes) -> Address | None:
    """Return the address of a hop, with a port or without; None for what is none."""
    if not hop.isascii() or len(hop) > _LONGEST_HOP:
        return None
    text = hop.decode("ascii")
    found = _WITH_PORT.fullmatch(text)
    return address_of(found["v6"] or found["v4"] if found else text)
