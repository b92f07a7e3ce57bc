"""Access: API keys for requests that do not come in on loopback, and a rate limit for each key."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from pathlib import Path

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from passerelle.api_keys import ApiKey, KeyRing, read_keys
from passerelle.errors import SettingsError
from passerelle.serving.contract import RequestError
from passerelle.settings import ServiceSettings

Headers = list[tuple[bytes, bytes]]
_READ_AGAIN_S = 1.0
_ANONYMOUS = "loopback"


class AccessControl:
    """Decides on the headers alone, before a body is read.

    Args:
        settings: Whether keys are required, where they are, and the rate limit.

    Raises:
        SettingsError: The rate limit is not one.
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
        self._limit = _limit_of(settings.rate_limit)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def required(self, server: tuple[str, int | None] | None) -> bool:
        """Return whether a request to this local address needs a key."""
        if self._mode == "auto":
            host = server[0] if server else ""
            return not (host.startswith("127.") or host in ("::1", "localhost"))
        return self._mode == "required"

    def admit(self, server: tuple[str, int | None] | None, headers: dict[bytes, bytes], right: str | None = None) -> tuple[str, Headers]:
        """Return the name of the client, and the rate limit headers.

        Args:
            right: That a key must have for this request; None where each key will do. Without a key, all is allowed that needs none.

        Raises:
            RequestError: 401 without an active key where one is required, 403 for a key without the right, 429 over the rate limit.
        """
        key = self._owner(server, headers)
        name = _ANONYMOUS if key is None else key.name
        if key is not None and right is not None and right not in key.rights:
            raise RequestError(403, "forbidden", f"this key lacks the right {right}")
        if self._limit is None:
            return name, []
        if self._limiter.hit(self._limit, name):
            return name, self._rate_headers(name)
        rate_headers = self._rate_headers(name)
        retry = next(value for key, value in rate_headers if key == b"ratelimit-reset")
        raise RequestError(429, "rate_limited", "this key has asked too often", headers=(*rate_headers, (b"retry-after", retry)))

    def _owner(self, server: tuple[str, int | None] | None, headers: dict[bytes, bytes]) -> ApiKey | None:
        """Return the client's key; None without a valid one where none is required."""
        given = headers.get(b"authorization")
        if given is None and not self.required(server):
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
        if not self.required(server):
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
                changed_at = self._path.stat().st_mtime_ns if self._path.exists() else None
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

    def _rate_headers(self, name: str) -> Headers:
        assert self._limit is not None  # noqa: S101 - only called with a limit
        reset_at, remaining = self._limiter.get_window_stats(self._limit, name)
        seconds = max(1, round(reset_at - time.time()))
        return [
            (b"ratelimit-limit", b"%d" % self._limit.amount),
            (b"ratelimit-remaining", b"%d" % remaining),
            (b"ratelimit-reset", b"%d" % seconds),
        ]


def _limit_of(text: str) -> RateLimitItem | None:
    if not text:
        return None
    try:
        return parse(text)
    except ValueError:
        raise SettingsError(
            "PASSERELLE_RATE_LIMIT is not a rate limit", hint="export PASSERELLE_RATE_LIMIT=600/minute\nunset PASSERELLE_RATE_LIMIT"
        ) from None
