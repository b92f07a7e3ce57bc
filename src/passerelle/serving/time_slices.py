"""Long work in slices: the event loop runs one slice a turn, and answers other requests in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import TypeVar

Result = TypeVar("Result")

#: Bytes of text, in UTF-8, that are scored at once; three milliseconds for words that were never seen.
ONE_TURN_BYTES = 1_024


class Slices:
    """Runs long work piece by piece; those who wait get one slice each, in their order."""

    def __init__(self) -> None:
        self._one = asyncio.Lock()

    async def once(self, work: Callable[[], Result]) -> Result:
        """Return what comes of work that cannot be interrupted, as one slice."""
        async with self._one:
            try:
                return work()
            finally:
                await asyncio.sleep(0)

    async def run(self, work: Generator[None, None, Result]) -> Result:
        """Return what the work comes to.

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
                        # Before the next slice of anybody, what came in meanwhile is looked at.
                        await asyncio.sleep(0)
        finally:
            work.close()
