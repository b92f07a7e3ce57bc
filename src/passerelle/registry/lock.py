"""One promotion or rollback at a time, whichever machine it comes from."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import quote

from passerelle.errors import BusyError, NotFoundError, OutsideError
from passerelle.registry.objects import Objects

#: A lock older than this belongs to a process that was killed.
STALE_S = 120.0


@contextmanager
def promotion_lock(objects: Objects, registered_model: str, who: str, doing: str) -> Iterator[None]:
    """Hold the registered model for one promotion or rollback.

    Raises:
        BusyError: Somebody else holds it; says who, and what they do.
    """
    key = f"ledger/{quote(registered_model, safe='')}/lock.json"
    content = json.dumps({"who": who, "doing": doing, "at": time.time()}, ensure_ascii=False).encode()
    if not objects.create(key, content):
        _take_over(objects, key, content)
    try:
        yield
    finally:
        # A lock that cannot be given back goes stale by itself, and must not hide what went wrong inside.
        with suppress(OutsideError, NotFoundError):
            if objects.read(key)[0] == content:
                objects.delete(key)


def _take_over(objects: Objects, key: str, content: bytes) -> None:
    try:
        held, tag = objects.read(key)
        holder = json.loads(held)
        age_s = time.time() - float(holder["at"])
    except NotFoundError:
        raise BusyError("another promotion has just ended", hint="passerelle status; then the same command again") from None
    except (ValueError, KeyError, TypeError):
        holder, age_s = {"who": "somebody", "doing": "something"}, STALE_S + 1
    if age_s <= STALE_S or not objects.replace(key, content, entity_tag=tag):
        message = f"{holder['who']} won: {holder['doing']} is under way since {age_s:.0f} s"
        raise BusyError(message, hint="passerelle status; then the same command again")
