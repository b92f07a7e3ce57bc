"""Concurrent requests predicted together, for a pipeline that cannot be compiled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, TypeVar

Row = TypeVar("Row")


class MicroBatcher:
    """One prediction at a time; whatever came in meanwhile is the next batch, and a lone request waits for nobody.

    Args:
        predict: Takes records, returns one answer each; called in the executor.
        executor: Runs one prediction at a time.
        most_records: Most records of one prediction.
    """

    def __init__(
        self, predict: Callable[[Sequence[Mapping[str, Any]]], Sequence[Any]], executor: Executor, most_records: int = 256
    ) -> None:
        self._predict = predict
        self._executor = executor
        self._most_records = most_records
        self._waiting: list[tuple[Mapping[str, Any], asyncio.Future[Any]]] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def queued(self) -> int:
        """How many records wait for the next batch."""
        return len(self._waiting)

    async def answer(self, record: Mapping[str, Any]) -> Any:
        """Return the answer to one record."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((record, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting[: self._most_records], self._waiting[self._most_records :]
            await self._answer(loop, batch)

    async def _answer(self, loop: asyncio.AbstractEventLoop, batch: list[tuple[Mapping[str, Any], asyncio.Future[Any]]]) -> None:
        try:
            answers = await loop.run_in_executor(self._executor, self._predict, [record for record, _ in batch])
        except BaseException as error:  # noqa: BLE001 - it belongs to those who wait, whatever it is
            if len(batch) > 1 and isinstance(error, Exception):
                # One record that cannot be predicted is nobody else's matter.
                for one in batch:
                    await self._answer(loop, [one])
                return
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)
