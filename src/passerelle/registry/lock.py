"""One promotion or rollback at a time, across machines."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from passerelle.errors import BusyError, IntegrityError, NotFoundError, OutsideError
from passerelle.registry.ledger import LOCK_NAME, folder_of
from passerelle.registry.objects import Objects

#: A lock older than this belongs to a process that was killed.
STALE_S = 120.0
_MOST_BYTES = 4_096


@contextmanager
def promotion_lock(objects: Objects, registered_model: str, who: str, doing: str) -> Iterator[Callable[[], None]]:
    """Hold the registered model for one promotion or rollback; yields a function that raises BusyError if the lock was lost.

    Raises:
        BusyError: Somebody else holds it; says who, and what they do.
    """
    key = f"{folder_of(registered_model)}{LOCK_NAME}"
    content = json.dumps({"who": who, "doing": doing, "token": secrets.token_hex(8)}, ensure_ascii=False).encode()

    def check_lock() -> None:
        if not _is(objects, key, content):
            raise BusyError(f"it took longer than {STALE_S:.0f} s, and somebody else has gone on", hint="passerelle status")

    if not objects.create(key, content):
        _take_over(objects, key, content)
    try:
        yield check_lock
    finally:
        # A lock that cannot be released goes stale by itself; the error must not hide the one from inside.
        with suppress(OutsideError):
            if _is(objects, key, content):
                objects.delete(key)


@contextmanager
def promotion_locks(objects: Objects, registered_models: Iterable[str], who: str, doing: str) -> Iterator[Callable[[], None]]:
    """Hold several registered models; yields a function that raises BusyError if one of the locks was lost.

    Raises:
        BusyError: As `promotion_lock`.
    """
    with ExitStack() as stack:
        checks = [stack.enter_context(promotion_lock(objects, name, who, doing)) for name in sorted(registered_models)]

        def check_locks() -> None:
            for check_lock in checks:
                check_lock()

        yield check_locks


def _is(objects: Objects, key: str, content: bytes) -> bool:
    try:
        return objects.read(key, most_bytes=_MOST_BYTES)[0] == content
    except (NotFoundError, IntegrityError):
        return False


def _content(objects: Objects, key: str) -> tuple[bytes, str]:
    """Return the lock's content and entity tag; of what is too large to be a lock, no content: it goes stale like any other."""
    try:
        return objects.read(key, most_bytes=_MOST_BYTES)
    except IntegrityError:
        return b"", objects.entity_tag(key)


def _take_over(objects: Objects, key: str, content: bytes) -> None:
    try:
        stored, tag = _content(objects, key)
        # By the clock of the S3 server: those of this machine and of the holder may differ.
        age_s = objects.age_s(key)
    except NotFoundError:
        raise BusyError("another promotion has just ended; run this command again", hint="passerelle status") from None
    try:
        holder = {"who": "somebody", "doing": "something"} | dict(json.loads(stored))
    except (ValueError, TypeError, RecursionError):
        holder = {"who": "somebody", "doing": "something"}
    if age_s <= STALE_S or not objects.replace(key, content, entity_tag=tag):
        message = f"{holder['who']} holds the lock: {holder['doing']}, for {age_s:.0f} s now"
        raise BusyError(message, hint="passerelle status")
