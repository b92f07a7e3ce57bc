"""The ids of answers that a person had erased: readers skip them, also in files that arrive later."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import orjson

from passerelle.errors import IntegrityError
from passerelle.monitoring.prediction_log.log_place import ERASURES, LogPlace


def erasure_folder(day: date) -> str:
    """Return the folder of the lists of erased ids of one day."""
    return f"{ERASURES}/dt={day.isoformat()}"


def erased_ids(place: LogPlace, day: date) -> frozenset[str]:
    """Return the erased ids of a day.

    Raises:
        IntegrityError: A list cannot be read: without it, erased answers would come back.
    """
    found: set[str] = set()
    for name in place.names(erasure_folder(day) + "/"):
        try:
            with place.open(name) as file:
                found.update(parsed_erasures(name, file.read()))
        except FileNotFoundError:  # it expired with its day
            continue
    return frozenset(found)


def parsed_erasures(name: str, content: bytes) -> list[str]:
    """Return the ids in a list.

    Raises:
        IntegrityError: The file is no list of ids.
    """
    try:
        ids = orjson.loads(content)["ids"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        ids = None
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise IntegrityError(f"{name} in the prediction log is not a list of erased ids; restore it from a backup, else they come back")
    return ids


def erasure_list(ids: Iterable[str]) -> bytes:
    """Return the content of a list."""
    return orjson.dumps({"ids": sorted(ids)})
