"""What one worker process holds: the loaded model, its contract and its metrics; the one place where a record gets its answer."""

from __future__ import annotations

import asyncio
import functools
import os
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from passerelle.errors import DataError, PasserelleError
from passerelle.monitoring.metrics import Metrics
from passerelle.monitoring.shared import shared_folder
from passerelle.names import RUN_ID_LENGTH_IN_TAG
from passerelle.serving.admission import Unfinished
from passerelle.serving.batcher import Lane, MicroBatcher
from passerelle.serving.contract import Contract, Refusal, contract_of
from passerelle.serving.failure import loading_failure
from passerelle.serving.load import MODEL_FOLDER, ModelDescription, PipelineNeededError, describe
from passerelle.settings import ServiceSettings

if TYPE_CHECKING:
    from passerelle.serving.model import LoadedModel, Row
    from passerelle.serving.scorer.scorer import CompiledScorer

#: So many records of a batch are scored before others get their turn.
RECORDS_A_TURN = 16
_TOP = 3


class Runtime:
    """The model of a bento, before and after it is loaded.

    Args:
        folder: The bento model's directory.
        settings: What is accepted and how it is answered.
        description: What is known of the model; by default what its MLmodel file says.

    Raises:
        IntegrityError: The MLmodel file cannot be read.
        UsageError: It describes no model that can be served.
    """

    def __init__(self, folder: Path, settings: ServiceSettings, *, description: ModelDescription | None = None) -> None:
        self.folder = folder
        self.settings = settings
        self.description = description or describe(folder / MODEL_FOLDER)
        self.contract: Contract = contract_of(
            self.description.columns,
            max_text_characters=settings.max_text_characters,
            max_records=settings.max_records,
            example=self.description.example,
        )
        self.model: LoadedModel | None = None
        self.refused: PasserelleError | None = None
        self._labels: tuple[str, ...] = ()
        self._run = ""
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="predict")
        self._lane = Lane(self._executor)
        self._batcher = MicroBatcher(self._predict, self._lane)
        self._one_batch = asyncio.Semaphore(1)
        self._text_columns = tuple(column.name for column in self.description.columns if column.type == "string")

    @classmethod
    def or_refused(cls, folder: Path, settings: ServiceSettings) -> Runtime:
        """Return the runtime of a model; of one that cannot even be described, a runtime that lives and never gets ready."""
        try:
            return cls(folder, settings)
        except Exception as error:  # noqa: BLE001 - whatever a damaged file makes its reader raise
            made = cls(folder, settings, description=ModelDescription("", (), {}, {}, None))
            made.refused = loading_failure(error, folder)
            return made

    @cached_property
    def metrics(self) -> Metrics:
        """The metrics of this worker; the process that starts the workers has none."""
        return Metrics(shared_folder())

    @property
    def queued(self) -> int:
        """How many records wait for the pipeline."""
        return self._batcher.queued

    def load(self) -> LoadedModel:
        """Load the model and hold it to its golden predictions; from here on the service is ready.

        Raises:
            IntegrityError: The model is not the one that was registered, or does not reproduce its golden predictions.
        """
        # Only a worker loads a model; the process that starts the workers does without numpy.
        from passerelle.serving.model import freeze, load_model  # noqa: PLC0415

        model = load_model(self.folder)
        # A prediction leads back to the run that made the model by its first characters.
        self._run = str(model.lineage["run_id"])[:RUN_ID_LENGTH_IN_TAG]
        self._labels = tuple(str(label) for label in model.classes)
        created = model.lineage.get("created")
        if created:
            self.metrics.model_created.labels(model.version).set(datetime.fromisoformat(str(created)).timestamp())
        self.metrics.model_loaded.labels(model.version).set_to_current_time()
        self.metrics.model_load_seconds.labels(model.version).set(model.load_seconds)
        allow_many_connections()
        freeze()
        self.model = model
        return model

    def load_or_refuse(self) -> None:
        """Load the model; where that fails, whatever the error, the worker lives, says why, and never gets ready.

        A worker that ended instead would be started again and again.
        """
        try:
            if self.refused is None:
                self.load()
                return
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - a panic in a package written in Rust is no Exception
            self.refused = loading_failure(error, self.folder)
        print(f"the model is refused: {self.refused.message}\n  next: {self.refused.hint}", file=sys.stderr, flush=True)  # noqa: T201

    def readiness(self) -> dict[str, Any]:
        """Return what /readyz says."""
        if self.model is None:
            return {"ready": False, "model_version": None, "reason": "model_refused" if self.refused else "loading"}
        return {"ready": True, "model_version": self.model.version}

    def ready(self) -> LoadedModel:
        """Return the loaded model.

        Raises:
            Refusal: 503 until it is loaded.
        """
        if self.model is None:
            message = "the model is refused; the operator finds the cause in the log" if self.refused else "the model is not loaded yet"
            raise Refusal(503, "not_ready", message, headers=((b"retry-after", b"1"),))
        return self.model

    async def classify(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to one record, as the contract has it.

        Raises:
            Refusal: 503 until the model is loaded, 422 for values that it cannot take, 504 when it takes too long.
        """
        model = self.ready()
        if model.scorer is not None:
            try:
                return self._answer(model, record, model.row_at_once(model.scorer, record))
            except PipelineNeededError:
                row = (await self._in_time(self._beside(model.rows, (record,))))[0]
            except DataError:
                raise _without_text(model.scorer, (record,)) from None
        else:
            row = await self._in_time(self._batcher.answer(record))
        return self._answer(model, record, row)

    async def classify_batch(self, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the answers to several records, in their order.

        Raises:
            Refusal: As `classify`.
        """
        model = self.ready()
        self.metrics.batch_records.observe(len(records))
        if model.scorer is not None:
            try:
                rows = await self._in_time(self._in_turns(model, model.scorer, records))
            except DataError:
                raise _without_text(model.scorer, records, batch=True) from None
        else:
            rows = await self._in_time(self._beside(model.rows, records))
        return {"predictions": [self._answer(model, record, row) for record, row in zip(records, rows, strict=True)]}

    async def _in_turns(self, model: LoadedModel, scorer: CompiledScorer, records: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Return the rows of a batch; other requests are answered between its parts, other batches after it."""
        rows: list[Row] = []
        async with self._one_batch:
            for begin in range(0, len(records), RECORDS_A_TURN):
                part = records[begin : begin + RECORDS_A_TURN]
                try:
                    rows += model.rows_at_once(scorer, part)
                except PipelineNeededError:
                    rows += await self._beside(model.rows, part)
                await asyncio.sleep(0)
        return rows

    async def _beside(self, predict: Callable[[Sequence[Mapping[str, Any]]], list[Row]], records: Sequence[Mapping[str, Any]]) -> list[Row]:
        return await self._lane.run(lambda: functools.partial(predict, records))

    async def _in_time(self, answering: Any) -> Any:
        task = asyncio.ensure_future(answering)
        try:
            done, _ = await asyncio.wait({task}, timeout=self.settings.model_timeout_s)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not done:
            task.cancel()
            raise Unfinished(task)
        try:
            return task.result()
        except (ValueError, OverflowError, TypeError, AttributeError):  # a vectorizer says the last two of what is no text
            raise Refusal(422, "invalid_record", "holds a value that the model cannot take") from None

    def _predict(self, records: Sequence[Mapping[str, Any]]) -> list[Row]:
        self.metrics.together.observe(len(records))
        return self.ready().rows(records)

    def _answer(self, model: LoadedModel, record: Mapping[str, Any], row: Row) -> dict[str, Any]:
        index, values = row
        label = self._labels[index]
        self.metrics.predicted(label, model.version)
        for column in self._text_columns:
            self.metrics.characters.observe(len(record[column] or ""))
        probability, top, review = None, [], False
        if values is not None:
            order = sorted(range(len(values)), key=values.__getitem__, reverse=True)
            if order[0] != index:  # a tie, in which the pipeline gives another of the two
                order.remove(index)
                order.insert(0, index)
            top = [{"label": self._labels[place], "probability": values[place]} for place in order[:_TOP]]
            probability = values[index]
            review = probability < self.settings.review_threshold
        if review:
            self.metrics.review(model.version)
        return {
            "label": label,
            "probability": probability,
            "top": top,
            "model_version": model.version,
            "prediction_id": self._run + os.urandom(12).hex(),
            "review": review,
        }

    def card(self) -> dict[str, Any]:
        """Return the model card: what is served, where it comes from, how good it was found, and since when."""
        model = self.ready()
        lineage = model.lineage
        return {
            **{key: lineage.get(key) for key in _CARD},
            "classes": [str(label) for label in model.classes],
            "columns": [{"name": column.name, "type": column.type} for column in model.description.columns],
            "serving_since": model.since,
            "golden_predictions": len(model.golden.inputs),
            "largest_golden_difference": model.golden_difference,
            "compiled": model.scorer is not None,
            "not_compiled_because": model.not_compiled,
            "review_threshold": self.settings.review_threshold,
        }


def _without_text(scorer: CompiledScorer, records: Sequence[Mapping[str, Any]], *, batch: bool = False) -> Refusal:
    """Return the refusal of records the first of which lacks a text that the model reads: the signature lets it be left out."""
    fields = (
        f"records.{place}.{column}" if batch else column
        for place, record in enumerate(records)
        for column in scorer.columns
        if not isinstance(record.get(column), str)
    )
    return Refusal(422, "invalid_record", "must be a text: the model reads it", next(fields, None))


def allow_many_connections() -> None:
    """Raise the limit of open files to what this process may have: each connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


_CARD = (
    "registered_model", "version", "run_id", "experiment", "candidate", "metrics", "data_digest",
    "git_commit", "criteria_digest", "artifact_digest", "libraries", "created",
)  # fmt: skip
