"""The daily random sample of answers for a person to look at: drawn from the ids alone, so that each machine draws the same."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterable
from datetime import date


def ranking_of(day: date) -> Callable[[str], bytes]:
    """Return the function that gives the place of an answer in the random order of its day.

    The order depends on day and id alone: it has nothing to do with the answer, and nobody can choose what is in the sample.
    """
    salt = day.isoformat().encode()
    return lambda prediction_id: hashlib.blake2b(prediction_id.encode(), digest_size=8, salt=salt).digest()


def sample_of(ids: Iterable[str], day: date, count: int) -> tuple[str, ...]:
    """Return the sample of a day, in random order; all ids where there are no more than `count`.

    A larger sample of the same ids begins with the smaller one. Ids that occur several times count once.

    Args:
        ids: Of the answers of the day.
        count: Size of the sample.
    """
    rank = ranking_of(day)
    ranked = ((rank(prediction_id), prediction_id) for prediction_id in set(ids))
    return tuple(prediction_id for _, prediction_id in heapq.nsmallest(count, ranked))
