"""Which host names stand for this machine.

Who asks on loopback needs no key; a web page that is open in a browser on this machine asks on loopback too. Such a page may let its
own name resolve to 127.0.0.1 (DNS rebinding) and read the answers; under its true name it can still send requests, though it reads no
answer. The browser says in `Host` which name it used and in `Origin` whose page asks, and no page can change them.
"""

from __future__ import annotations

import re
from typing import Final

from passerelle.errors import SettingsError
from passerelle.serving.client_address import address_of
from passerelle.serving.contract import RequestError

_MISDIRECTED = "without an API key, ask for localhost, for an address, or for a name in PASSERELLE_ALLOWED_HOSTS of the service"
_FOREIGN_PAGE = "a page of another site sent this request without an API key"
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,252}[a-z0-9])?")
#: Host and port; an IPv6 address stands in brackets.
_AUTHORITY = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]{2,45})\]|(?P<name>[a-z0-9._-]{1,254}))(?::[0-9]{0,5})?")
_LOCALHOST: Final = "localhost"


class LocalNames:
    """The names under which a service is asked that needs no key on loopback.

    Args:
        text: Names beside localhost, with commas between.

    Raises:
        SettingsError: It holds something else.
    """

    def __init__(self, text: str = "") -> None:
        names = [each.strip().lower() for each in text.split(",") if each.strip()]
        if not all(_NAME.fullmatch(each) for each in names):
            raise SettingsError(
                "PASSERELLE_ALLOWED_HOSTS holds something that is no host name; it takes names without a port, with commas between",
                hint="export PASSERELLE_ALLOWED_HOSTS=classifier.example\nunset PASSERELLE_ALLOWED_HOSTS",
            )
        self._names = frozenset((_LOCALHOST, *names))

    def check(self, headers: dict[bytes, bytes]) -> None:
        """Check that a request was sent to this machine by somebody on it.

        Raises:
            RequestError: 421 for another host, 403 for a request that a page of another site sent.
        """
        host = headers.get(b"host")
        # An address needs no look-up that could lie, whichever it is; without a host, it is no browser.
        if host is not None and not self._is_named(host, any_address=True):
            raise RequestError(421, "foreign_host", _MISDIRECTED)
        page = headers.get(b"origin")
        if page is not None:
            _, _, sender = page.partition(b"://")
            if sender != host and not self._is_named(sender, any_address=False):
                raise RequestError(403, "foreign_origin", _FOREIGN_PAGE)

    def _is_named(self, authority: bytes, *, any_address: bool) -> bool:
        found = _AUTHORITY.fullmatch(authority.rstrip(b" \t").decode("ascii", "replace").lower())
        if found is None:
            return False
        host = (found["v6"] or found["name"]).rstrip(".")
        if host in self._names:
            return True
        address = address_of(host)
        return address is not None and (any_address or address.is_loopback)
