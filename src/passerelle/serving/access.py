"""Access: API keys for requests that do not come in on loopback, and a rate limit for each key."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from limits import parse

from passerelle.api_keys import ApiKey, KeyRing, read_keys
from passerelle.errors import SettingsError
from passerelle.monitoring.shared import shared_folder
from passerelle.serving.client_address import Address, Proxies, address_of, client_name
from passerelle.serving.contract import RequestError
from passerelle.serving.local_names import LocalNames
from passerelle.serving.rate_limit import RateLimit, Window
from passerelle.settings import ServiceSettings

Headers = list[tuple[bytes, bytes]]
#: One end of a connection as the server has it: address and port, the path of a Unix socket, or nothing.
Endpoint = tuple[str, int | None] | None
_READ_AGAIN_S = 1.0
_ANONYMOUS = "loopback"


class AccessControl:
    """Decides on the headers alone, before a body is read.

    Args:
        settings: Whether keys are required, where they are, and the rate limit.

    Raises:
        SettingsError: The rate limit, the proxies or the hosts are none.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._mode = settings.auth
        self._path = Path(settings.keys_file)
        self._ring = KeyRing()
        self._read_at = float("-inf")
        self._changed_at: int | None = None
        self._broken = False
        # Keys by a keyed digest of the header, until the keys are read again: each key is fully checked once a second.
        self._known: dict[bytes, ApiKey] = {}
        self._secret = os.urandom(16)
        self._limit = _limit_of(settings.rate_limit, settings.workers)
        self._proxies = Proxies(settings.trusted_proxies)
        self._names = LocalNames(settings.allowed_hosts)

    def required(self, server: Endpoint, client: Endpoint = None) -> bool:
        """Return whether a request to this local address needs a key; on a Unix socket, and through a named proxy, it does.

        Args:
            server: The local end of the connection.
            client: The other end.
        """
        if self._mode != "auto":
            return self._mode == "required"
        local = server is not None and (server[0] == "localhost" or is_loopback(server[0]))
        return not local or (bool(self._proxies) and self._proxies.trusts(_address(client)))

    def check_names(self, server: Endpoint, headers: dict[bytes, bytes], client: Endpoint = None) -> None:
        """Check a request that needs no key because it came in on loopback: that no web page of another site has its browser send it.

        Raises:
            RequestError: 421 where it is for another host, 403 where a page of another site sent it.
        """
        if self._mode == "auto" and not self.required(server, client):
            self._names.check(headers)

    def admit(
        self,
        server: Endpoint,
        headers: dict[bytes, bytes],
        right: str | None = None,
        *,
        client: Endpoint = None,
        all_headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> tuple[str, Headers]:
        """Return the name of the client, and the rate limit headers.

        Args:
            server: The local end of the connection.
            headers: Of the request.
            client: The other end of the connection.
            all_headers: As they came, also those that came more than once.
            right: That a key must have for this request; None where each key will do. Without a key, all is allowed that needs none.

        Raises:
            RequestError: 401 without an active key where one is required, 403 for a key without the right, 429 over the rate limit; without
                a key, as `check_names`.
        """
        key = self._owner(server, headers, client)
        if key is None:
            self.check_names(server, headers, client)
        name = _ANONYMOUS if key is None else key.name
        if key is not None and right is not None and right not in key.rights:
            raise RequestError(403, "forbidden", f"this key lacks the right {right}")
        if self._limit is None:
            return name, []
        allowed, window = self._limit.hit(f"key {key.key_id}" if key is not None else self._address_name(client, all_headers))
        rate_headers = _rate_headers(self._limit, window)
        if allowed:
            return name, rate_headers
        retry = next(value for name, value in rate_headers if name == b"ratelimit-reset")
        raise RequestError(429, "rate_limited", "this key has asked too often", headers=(*rate_headers, (b"retry-after", retry)))

    def _address_name(self, client: Endpoint, headers: Sequence[tuple[bytes, bytes]]) -> str:
        """Return what a client without a key is counted by; nobody learns it but the rate limit."""
        peer = _address(client)
        if self._proxies and self._proxies.trusts(peer):
            return client_name(self._proxies.client_of(headers))
        return client_name(peer)

    def _owner(self, server: Endpoint, headers: dict[bytes, bytes], client: Endpoint) -> ApiKey | None:
        """Return the client's key; None without a valid one where none is required."""
        given = headers.get(b"authorization")
        if given is None and not self.required(server, client):
            return None
        keys = self._keys()
        digest = hashlib.blake2b(given or b"", key=self._secret, digest_size=16).digest()
        known = self._known.get(digest)
        if known is not None:
            return known
        scheme, _, token = (given or b"").partition(b" ")
        key = keys.owner(token.strip().decode("ascii", "replace")) if scheme.lower() == b"bearer" else None
        if key is not None:
            self._known[digest] = key
            return key
        if not self.required(server, client):
            return None
        message = "send a valid API key: Authorization: Bearer …"
        raise RequestError(401, "unauthorized", message, headers=((b"www-authenticate", b'Bearer realm="passerelle"'),))

    def _keys(self) -> KeyRing:
        """Return the keys; a key that was made or revoked counts within a second."""
        now = time.monotonic()
        if now - self._read_at > _READ_AGAIN_S:
            self._read_at = now
            self._known.clear()
            try:
                changed_at = self._path.stat().st_mtime_ns if os.path.lexists(self._path) else None
                if changed_at != self._changed_at or self._broken:
                    self._ring = KeyRing(read_keys(self._path))
                    self._changed_at, self._broken = changed_at, False
            except (SettingsError, OSError) as error:
                # Keep the last good keys while the file is unreadable; log once, retry every second.
                if not self._broken:
                    self._broken = True
                    message = error.message if isinstance(error, SettingsError) else f"{self._path}: {error.strerror}"
                    print(f"the keys stay as they were: {message}", file=sys.stderr, flush=True)  # noqa: T201
        return self._ring


def is_loopback(host: str) -> bool:
    """Return whether this is an address of the machine's own, of either protocol."""
    address = address_of(host)
    return address is not None and address.is_loopback


def _address(end: Endpoint) -> Address | None:
    return None if end is None else address_of(end[0])


def _rate_headers(limit: RateLimit, window: Window) -> Headers:
    return [
        (b"ratelimit-limit", b"%d" % limit.amount),
        (b"ratelimit-remaining", b"%d" % max(0, limit.amount - window.requests)),
        (b"ratelimit-reset", b"%d" % max(1, round(window.ends_in_s))),
    ]


def _limit_of(text: str, workers: int) -> RateLimit | None:
    if not text:
        return None
    try:
        item = parse(text)
    except ValueError:
        raise SettingsError(
            "PASSERELLE_RATE_LIMIT is not a rate limit", hint="export PASSERELLE_RATE_LIMIT=600/minute\nunset PASSERELLE_RATE_LIMIT"
        ) from None
    return RateLimit(item.amount, item.get_expiry(), folder=shared_folder(), workers=workers)
