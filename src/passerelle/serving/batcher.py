"""Predictions outside the event loop, one at a time; concurrent requests are predicted together by a pipeline that cannot be compiled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

from passerelle.errors import ModelTimeoutError

Result = TypeVar("Result")
Record = TypeVar("Record")
Answer = TypeVar("Answer")


class Lane:
    """Runs one prediction at a time; a request that gives up waiting leaves nothing behind.

    Args:
        executor: It is given one task at a time: its queue would grow with tasks that no request waits for any more.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._one = asyncio.Lock()

    async def run(self, prepare: Callable[[], Callable[[], Result]]) -> Result:
        """Return what comes of a prediction.

        A thread cannot be stopped: a caller that is cancelled while its prediction runs ends when that ends, not before.

        Args:
            prepare: Called when it is its turn; returns what is to be done in the thread.
        """
        async with self._one:
            work = asyncio.get_running_loop().run_in_executor(self._executor, prepare())
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                await asyncio.wait({work})
                raise


class MicroBatcher(Generic[Record, Answer]):
    """The requests that arrive during a prediction are the next batch; a single request is predicted at once.

    Args:
        predict: Takes records, returns one answer each.
        lane: Where it is called.
        length_of: Characters of a record.
        most_characters: Most characters of one prediction of several records.
        most_records: Most records of one prediction.
    """

    def __init__(
        self,
        predict: Callable[[Sequence[Record]], Sequence[Answer]],
        lane: Lane,
        *,
        length_of: Callable[[Record], int],
        most_characters: int,
        most_records: int = 256,
    ) -> None:
        self._predict = predict
        self._lane = lane
        self._length_of = length_of
        self._most_characters = most_characters
        self._most_records = most_records
        self._waiting: dict[asyncio.Future[Answer], Record] = {}
        self._running: dict[asyncio.Future[Answer], asyncio.Future[None]] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def queued(self) -> int:
        """How many records wait for the next batch."""
        return len(self._waiting)

    async def answer(self, record: Record) -> Answer:
        """Return the answer to one record; a cancelled request is dropped at once, or when the running batch ends."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[future] = record
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        try:
            return await future
        except asyncio.CancelledError:
            self._waiting.pop(future, None)
            if future in self._running:
                await asyncio.wait({self._running[future]})
            raise

    async def _run(self) -> None:
        while self._waiting:
            batch: dict[asyncio.Future[Answer], Record] = {}
            ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            try:
                await self._answer(batch, ended)
            finally:
                for future in batch:
                    self._running.pop(future, None)
                ended.set_result(None)

    async def _answer(self, batch: dict[asyncio.Future[Answer], Record], ended: asyncio.Future[None]) -> None:
        """Fill a batch that is empty, predict it, and hand out the answers."""

        def prepared() -> Callable[[], list[Answer]]:
            # Taken when its turn comes, so that it holds every request that arrived until then, and none that gave up.
            for future in [] if batch else self._next():
                batch[future] = self._waiting.pop(future)
                self._running[future] = ended
            records = list(batch.values())
            return lambda: self._whole(records)

        try:
            answers = await self._lane.run(prepared)
        except BaseException as error:  # noqa: BLE001 - it belongs to those who wait, whatever it is
            if len(batch) > 1 and isinstance(error, Exception) and not isinstance(error, ModelTimeoutError):
                # One record that cannot be predicted must not fail the others; where time ran out, there is none for a second attempt.
                for future, record in batch.items():
                    if not future.done():
                        await self._answer({future: record}, ended)
                return
            for future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for future, answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)

    def _next(self) -> list[asyncio.Future[Answer]]:
        """Return the records of the next batch: the first that waits, and others while the batch stays short."""
        chosen: list[asyncio.Future[Answer]] = []
        left = self._most_characters
        for future, record in self._waiting.items():
            left -= self._length_of(record)
            if chosen and (left < 0 or len(chosen) == self._most_records):
                break
            chosen.append(future)
        return chosen

    def _whole(self, records: Sequence[Record]) -> list[Answer]:
        answers = list(self._predict(records)) if records else []
        if len(answers) != len(records):
            raise RuntimeError(f"{len(records)} records got {len(answers)} answers")
        return answers
