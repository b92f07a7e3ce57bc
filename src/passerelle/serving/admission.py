"""How many requests may wait for the model. The rest are refused at once with Retry-After, so that those that wait keep their latency."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from passerelle.serving.contract import RequestError

#: A batch occupies the model as long as many records.
_RECORDS_A_BATCH = 8
#: After this time at the model, the requests that arrived meanwhile are checked, since those to be refused must be refused quickly.
_TURN_SECONDS = 0.005


class UnfinishedError(RequestError):
    """504: the model did not answer in time.

    Args:
        work: Ends when nothing is left of it; until then it keeps its place.
    """

    def __init__(self, work: asyncio.Task[object]) -> None:
        super().__init__(504, "too_slow", "the model did not answer in time")
        self.work = work


class Admission:
    """Counts the requests whose body is read and that wait for the model.

    Args:
        most: Most of them at a time; batches are an eighth of it at most, and another eighth is kept for what takes no more than a turn.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._most_batches = max(1, most // _RECORDS_A_BATCH)
        self._most_long = max(1, most - self._most_batches)
        self.waiting = 0
        self._batches = 0
        self._long = 0
        self._spent_seconds = 0.0
        self._ends_turn = False

    async def turn(self) -> None:
        """Wait for a turn at the model.

        All requests that arrived together take their places before the first of them is answered; then they are answered in order.
        """
        await asyncio.sleep(0)
        while self._spent_seconds > _TURN_SECONDS:
            if not self._ends_turn:
                self._ends_turn = True
                asyncio.get_running_loop().call_soon(self._begin_turn)
            await asyncio.sleep(0)

    def spent(self, seconds: float) -> None:
        """Count time at the model, during which no other request was checked."""
        self._spent_seconds += seconds

    def _begin_turn(self) -> None:
        self._spent_seconds = 0.0
        self._ends_turn = False

    def check(self, *, long: bool, batch: bool = False) -> None:
        """Refuse a request if there is no room for it.

        Args:
            long: Whether it takes more than a turn at the model, as every batch does.
            batch: Whether it is a batch.

        Raises:
            RequestError: 503, with the seconds to wait.
        """
        crowded = self.waiting >= self._most or (long and self._long >= self._most_long)
        if crowded or (batch and self._batches >= self._most_batches):
            raise RequestError(503, "overloaded", "too many requests at once", headers=((b"retry-after", b"1"),))

    def enter(self, *, long: bool, batch: bool) -> None:
        """Take a place; the caller gives it back with `leave`.

        Raises:
            RequestError: As `check`.
        """
        self.check(long=long, batch=batch)
        self.waiting += 1
        self._long += long
        self._batches += batch

    def leave(self, *, long: bool, batch: bool) -> None:
        """Give a place back."""
        self.waiting -= 1
        self._long -= long
        self._batches -= batch

    @contextmanager
    def place(self, *, long: bool, batch: bool) -> Iterator[None]:
        """Take a place while the body runs; after `UnfinishedError`, until nothing is left of the work.

        Raises:
            RequestError: As `check`.
        """
        self.enter(long=long, batch=batch)
        try:
            yield
        except UnfinishedError as late:
            late.work.add_done_callback(lambda _: self.leave(long=long, batch=batch))
            raise
        except BaseException:
            self.leave(long=long, batch=batch)
            raise
        self.leave(long=long, batch=batch)
