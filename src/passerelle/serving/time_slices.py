"""Long work in slices: the event loop runs one slice a turn, and answers other requests in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import TypeVar

Result = TypeVar("Result")

#: Bytes of text, in UTF-8, that are scored at once; three milliseconds for unknown words.
ONE_TURN_BYTES = 1_024


class Slices:
    """Runs long work in slices; waiting requests get one slice each, in order."""

    def __init__(self) -> None:
        self._one = asyncio.Lock()

    async def once(self, work: Callable[[], Result]) -> Result:
        """Return the result of work that cannot be interrupted, as one slice."""
        async with self._one:
            try:
                return work()
            finally:
                await asyncio.sleep(0)

    async def run(self, work: Generator[None, None, Result]) -> Result:
        """Return the result of the work.

        Args:
            work: Yields wherever it can be interrupted, at least once a millisecond.
        """
        try:
            while True:
                async with self._one:
                    try:
                        next(work)
                    except StopIteration as end:
                        result: Result = end.value
                        return result
                    finally:
                        # Requests that arrived meanwhile are checked before the next slice.
                        await asyncio.sleep(0)
        finally:
            work.close()
