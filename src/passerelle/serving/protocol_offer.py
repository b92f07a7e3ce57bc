"""A request that offers another protocol beside itself, as Java's client does with each first one."""

from __future__ import annotations

from typing import Any

from passerelle.serving.responses import Headers

#: Headers that offer another protocol.
_OFFER = (b"connection", b"upgrade", b"http2-settings")


def head_without_offer(parser: Any, url: bytes, headers: Headers) -> bytes:
    """Return the head that was just read, without its offer of another protocol, for a new parser.

    The offer may be ignored, and the body is the request's own: RFC 9110, section 7.8. The parser takes the body for bytes of the other
    protocol.

    Args:
        parser: `httptools.HttpRequestParser`, at the end of the head.
        url: Of the request line.
        headers: Of the request.
    """
    kept = [(name, value) for name, value in headers if name not in _OFFER]
    if any(name == b"connection" and b"close" in value.lower() for name, value in headers):
        kept.append((b"connection", b"close"))
    line = b"%b %b HTTP/%b\r\n" % (parser.get_method(), url, parser.get_http_version().encode())
    return line + b"".join(b"%b: %b\r\n" % header for header in kept) + b"\r\n"
