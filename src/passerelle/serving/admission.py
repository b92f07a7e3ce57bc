"""How many requests may wait for the model: the rest is told to come back, at once, while those that wait keep their latency."""

from __future__ import annotations

from passerelle.serving.contract import Refusal

#: One batch keeps the model as long as many records do.
_RECORDS_A_BATCH = 8


class Admission:
    """Counts the requests whose body is read and that wait for the model.

    Args:
        most: Most of them at a time; batches that wait are an eighth of it at most.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._most_batches = max(1, most // _RECORDS_A_BATCH)
        self.waiting = 0
        self._batches = 0

    def check(self, *, batch: bool) -> None:
        """Refuse a request that there is no room for.

        Raises:
            Refusal: 503, with the seconds to wait.
        """
        if self.waiting >= self._most or (batch and self._batches >= self._most_batches):
            raise Refusal(503, "overloaded", "too many requests at once", headers=((b"retry-after", b"1"),))

    def enter(self, *, batch: bool) -> None:
        """Take a place; whoever took it gives it back with `leave`.

        Raises:
            Refusal: As `check`.
        """
        self.check(batch=batch)
        self.waiting += 1
        self._batches += batch

    def leave(self, *, batch: bool) -> None:
        """Give a place back."""
        self.waiting -= 1
        self._batches -= batch
