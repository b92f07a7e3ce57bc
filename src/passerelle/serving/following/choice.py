"""Which requests a candidate answers: the same ones in each worker and in each replica."""

from __future__ import annotations

from hashlib import blake2b

_BYTES, _LONGEST_SALT = 8, 16
_ALL = 1 << 8 * _BYTES


def falls_to_candidate(key: bytes, version: str, weight: int) -> bool:
    """Return whether the requests with this key are the candidate's; what falls to it at one weight does so at each larger one.

    Args:
        key: What the client names, or the id of the request.
        version: Of the candidate: another one gets other keys.
        weight: Share of the keys, in percent.
    """
    digest = blake2b(key, digest_size=_BYTES, salt=version.encode()[:_LONGEST_SALT]).digest()
    return int.from_bytes(digest, "big") * 100 < weight * _ALL
