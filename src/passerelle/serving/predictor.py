"""From checked records to rows: with the compiled scorer in slices, or with the pipeline in a thread, within the time limit."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import orjson

from passerelle.errors import DataError, IntegrityError, ModelEndedError, ModelTimeoutError
from passerelle.model.answer import ScoredRow
from passerelle.model.classifier import PipelineNeededError
from passerelle.serving.admission import UnfinishedError
from passerelle.serving.answers import PredictedValue, Row
from passerelle.serving.batcher import Lane, MicroBatcher, Result
from passerelle.serving.contract import RequestError, Values
from passerelle.serving.record_size import size_of
from passerelle.serving.time_slices import ONE_TURN_BYTES, Slices
from passerelle.settings import ServiceSettings

if TYPE_CHECKING:
    from passerelle.model.loaded import LoadedModel
    from passerelle.scorer.scorer import CompiledScorer
    from passerelle.serving.record_texts import RecordTexts

#: Most characters that the pipeline predicts at a time, unless it is one record.
PIPELINE_CHARACTERS = 100_000
#: Longest wait of the event loop for the GIL while the pipeline predicts in its thread; the default is ten times as long.
SWITCH_SECONDS = 0.0005
_RECORDS_A_SLICE = 64


class Question(NamedTuple):
    """A record, the model that predicts it, and the params that hold for it."""

    model: LoadedModel
    record: Mapping[str, object]
    params: Values | None


class Predictor:
    """Predicts with the model of one worker.

    Attributes:
        slices: Runs whatever holds the event loop for long.

    Args:
        settings: Limits of texts and of time.
        text_columns: The fields that hold text.
        together: Called with the number of records that the pipeline predicts together.
    """

    def __init__(self, settings: ServiceSettings, text_columns: Sequence[str], *, together: Callable[[int], None]) -> None:
        self.slices = Slices()
        self._settings = settings
        self._text_columns = tuple(text_columns)
        self._together = together
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="predict")
        self._lane = Lane(self._executor)
        self._batcher: MicroBatcher[Question, Row] = MicroBatcher(
            self._predict, self._lane, length_of=lambda question: size_of(question.record), most_characters=PIPELINE_CHARACTERS
        )
        self._one_batch = asyncio.Semaphore(1)
        self._reported = ""

    @property
    def queued(self) -> int:
        """How many records wait for the pipeline."""
        return self._batcher.queued

    @cached_property
    def texts(self) -> RecordTexts:
        """The limits of the texts; only a worker needs them."""
        from passerelle.serving.record_texts import RecordTexts  # noqa: PLC0415 - what they read of Unicode takes time and memory

        settings = self._settings
        return RecordTexts(
            self._text_columns, most_characters=settings.max_text_characters, most_batch_characters=settings.max_batch_characters
        )

    def prepare(self, model: LoadedModel) -> None:
        """Warm up the model, so that its first request does not wait."""
        _ = self.texts
        if model.scorer is None:
            sys.setswitchinterval(SWITCH_SECONDS)

    async def one(self, model: LoadedModel, record: Mapping[str, object], params: Values | None = None) -> Row:
        """Return the row of one record.

        Raises:
            RequestError: 422 for values that the model cannot take, 504 when it takes too long.
        """
        size_bytes = self.texts.size_bytes(record)
        if model.scorer is None:
            row = await self._in_time(self._batcher.answer(Question(model, record, params)))
            return row
        try:
            if size_bytes <= ONE_TURN_BYTES:
                return model.row_at_once(model.scorer, record)
            row = await self._in_time(self.slices.run(model.row_in_slices(model.scorer, record)))
        except PipelineNeededError:
            row = (await self._in_time(self._beside(model, (record,))))[0]
        except DataError:
            raise _without_text(model.scorer, (record,)) from None
        return row

    async def several(self, model: LoadedModel, records: Sequence[Mapping[str, object]], params: Values | None = None) -> Sequence[Row]:
        """Return the rows of a batch, in their order.

        Raises:
            RequestError: As `one`.
        """
        try:
            rows = await self._in_time(self._rows(model, records, params))
        except DataError:
            assert model.scorer is not None  # noqa: S101 - nothing else raises it
            raise _without_text(model.scorer, records, batch=True) from None
        return rows

    async def _rows(self, model: LoadedModel, records: Sequence[Mapping[str, object]], params: Values | None) -> Sequence[Row]:
        """Return the rows of a batch; other requests are answered between its slices, other batches after it."""
        async with self._one_batch:
            sizes_bytes = await self.slices.run(self._sizes_bytes(records))
            if model.scorer is None:
                return await self._by_pipeline(model, records, params)
            rows = await self.slices.run(model.rows_in_slices(model.scorer, records, sizes_bytes, at_once=ONE_TURN_BYTES))
            undecided = [record for record, row in zip(records, rows, strict=True) if row is None]
            decided = iter(await self._by_pipeline(model, undecided, None))
            return [next(decided) if row is None else row for row in rows]

    async def _by_pipeline(self, model: LoadedModel, records: Sequence[Mapping[str, object]], params: Values | None) -> list[Row]:
        """Return the rows of these records; others are predicted between their parts."""
        rows: list[Row] = []
        for part in self.texts.parts(records, PIPELINE_CHARACTERS):
            rows += await self._beside(model, part, params)
        return rows

    def _sizes_bytes(self, records: Sequence[Mapping[str, object]]) -> Generator[None, None, list[int]]:
        sizes, looked_at, characters = [], 0, 0
        for place, record in enumerate(records):
            sizes.append(self.texts.size_bytes(record, f"records.{place}."))
            characters += self.texts.characters(record)
            self.texts.check_batch(characters)
            looked_at += sizes[-1] + ONE_TURN_BYTES // _RECORDS_A_SLICE
            if looked_at > 8 * ONE_TURN_BYTES:  # checking a text takes a fraction of the time for scoring it
                looked_at = 0
                yield
        return sizes

    async def _beside(self, model: LoadedModel, records: Sequence[Mapping[str, object]], params: Values | None = None) -> list[Row]:
        return await self._lane.run(lambda: functools.partial(rows_of, model, records, params))

    async def _in_time(self, answering: Awaitable[Result]) -> Result:
        task = asyncio.ensure_future(answering)
        try:
            done, _ = await asyncio.wait({task}, timeout=self._settings.model_timeout_s)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not done:
            task.cancel()
            raise UnfinishedError(task)
        try:
            return task.result()
        except (ValueError, OverflowError, TypeError, AttributeError):  # a vectorizer raises the last two for values that are no text
            raise RequestError(422, "invalid_record", "holds a value that the model cannot take") from None
        except IntegrityError as error:
            # Its files were replaced under it: nobody is answered half by one model and half by another.
            self._report(error)
            message = "the files of the model changed after it was loaded; the operator finds the cause in the log"
            raise RequestError(503, "model_changed", message, headers=((b"retry-after", b"60"),)) from None
        except ModelTimeoutError:
            raise RequestError(504, "too_slow", "the model did not answer in time") from None
        except ModelEndedError:
            raise RequestError(503, "model_ended", "the process of the model ended", headers=((b"retry-after", b"1"),)) from None

    def _report(self, error: IntegrityError) -> None:
        if self._reported != error.message:
            self._reported = error.message
            print(f"the model cannot be asked: {error.message}{error.next_lines}", file=sys.stderr, flush=True)  # noqa: T201

    def _predict(self, questions: Sequence[Question]) -> list[Row]:
        """Return the rows of these questions, each by its own model: another one may have been swapped in meanwhile."""
        self._together(len(questions))
        rows: list[Row] = []
        for _, group in groupby(questions, key=_predicted_together):
            together = list(group)
            rows += rows_of(together[0].model, [question.record for question in together], together[0].params)
        return rows


def rows_of(model: LoadedModel, records: Sequence[Mapping[str, object]], params: Values | None) -> list[Row]:
    """Return what a model without a scorer says of each record.

    Raises:
        ValueError: It cannot take one of the records.
    """
    classifies = model.description.task == "classification"
    if classifies and params is None:
        return list(model.rows(records))
    outputs = model.values(records, params)
    rows: Sequence[Sequence[float] | None] = outputs.probabilities or [None] * len(outputs.values)
    if classifies:
        return [ScoredRow(model.classes.index(value), row) for value, row in zip(outputs.values, rows, strict=True)]
    return [PredictedValue(value, row) for value, row in zip(outputs.values, rows, strict=True)]


def _predicted_together(question: Question) -> tuple[int, bytes]:
    """Return what is the same for questions that the model is asked at once."""
    return id(question.model), b"" if question.params is None else orjson.dumps(question.params, option=orjson.OPT_SORT_KEYS)


def _without_text(scorer: CompiledScorer, records: Sequence[Mapping[str, object]], *, batch: bool = False) -> RequestError:
    """Return the refusal of records the first of which lacks a text that the model reads: the signature lets it be left out."""
    fields = (
        f"records.{place}.{column}" if batch else column
        for place, record in enumerate(records)
        for column in scorer.columns
        if not isinstance(record.get(column), str)
    )
    return RequestError(422, "invalid_record", "must be a text: the model reads it", next(fields, None))
