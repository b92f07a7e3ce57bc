"""What one worker process holds: the loaded model, its contract and its metrics; the one place where a record gets its answer."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from heapq import nlargest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from passerelle.monitoring.metrics import Metrics
from passerelle.serving.batcher import MicroBatcher
from passerelle.serving.contract import Contract, Refusal, contract_of
from passerelle.serving.load import MODEL_FOLDER, ModelDescription, PipelineNeededError, describe
from passerelle.settings import ServiceSettings

if TYPE_CHECKING:
    from passerelle.serving.model import LoadedModel, Row

#: From this many records on, a batch is predicted beside the event loop, which goes on answering others.
RECORDS_BESIDE_THE_LOOP = 16
_TOP = 3


class Runtime:
    """The model of a bento, before and after it is loaded.

    Args:
        folder: The bento model's directory.
        settings: What is accepted and how it is answered.
    """

    def __init__(self, folder: Path, settings: ServiceSettings) -> None:
        self.folder = folder
        self.settings = settings
        self.description: ModelDescription = describe(folder / MODEL_FOLDER)
        self.contract: Contract = contract_of(
            self.description.columns,
            max_text_characters=settings.max_text_characters,
            max_records=settings.max_records,
            example=self.description.example,
        )
        self.metrics = Metrics()
        self.model: LoadedModel | None = None
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="predict")
        self._batcher: MicroBatcher | None = None
        self._text_columns = tuple(column.name for column in self.description.columns if column.type == "string")

    def load(self) -> LoadedModel:
        """Load the model and hold it to its golden predictions; from here on the service is ready.

        Raises:
            IntegrityError: The model is not the one that was registered, or does not reproduce its golden predictions.
        """
        # Only a worker loads a model; the process that starts the workers does without numpy.
        from passerelle.serving.model import freeze, load_model  # noqa: PLC0415

        model = load_model(self.folder)
        if model.scorer is None:
            self._batcher = MicroBatcher(model.rows, self._executor)
        self.metrics.model_loaded.labels(model.version).set_to_current_time()
        self.metrics.model_load_seconds.labels(model.version).set(model.load_seconds)
        freeze()
        self.model = model
        return model

    def ready(self) -> LoadedModel:
        """Return the loaded model.

        Raises:
            Refusal: 503 until it is loaded.
        """
        if self.model is None:
            raise Refusal(503, "not_ready", "the model is not loaded yet", headers=((b"retry-after", b"1"),))
        return self.model

    async def classify(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to one record, as the contract has it."""
        model = self.ready()
        if model.scorer is not None:
            try:
                row = model.rows_at_once(model.scorer, (record,))[0]
            except PipelineNeededError:
                row = (await asyncio.get_running_loop().run_in_executor(self._executor, model.rows, (record,)))[0]
        else:
            assert self._batcher is not None  # noqa: S101 - load() made it
            row = await self._batcher.answer(record)
        return self._answer(model, record, row)

    async def classify_batch(self, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the answers to several records, in their order."""
        model = self.ready()
        self.metrics.batch_records.observe(len(records))
        rows = None
        if len(records) < RECORDS_BESIDE_THE_LOOP and model.scorer is not None:
            with suppress(PipelineNeededError):
                rows = model.rows_at_once(model.scorer, records)
        if rows is None:
            rows = await asyncio.get_running_loop().run_in_executor(self._executor, model.rows, records)
        return {"predictions": [self._answer(model, record, row) for record, row in zip(records, rows, strict=True)]}

    def _answer(self, model: LoadedModel, record: Mapping[str, Any], row: Row) -> dict[str, Any]:
        label = str(row.label)
        self.metrics.predicted(label, model.version)
        for column in self._text_columns:
            self.metrics.characters.observe(len(record[column] or ""))
        if row.probabilities is None:
            probability, top, review = None, [], False
        else:
            best = nlargest(_TOP, zip(row.probabilities, range(len(row.probabilities)), strict=True))
            top = [{"label": str(model.classes[place]), "probability": value} for value, place in best]
            probability = row.probabilities[model.classes.index(row.label)]
            review = probability < self.settings.review_threshold
        if review:
            self.metrics.reviews.labels(model.version).inc()
        return {
            "label": label,
            "probability": probability,
            "top": top,
            "model_version": model.version,
            "prediction_id": os.urandom(16).hex(),
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


_CARD = (
    "registered_model", "version", "run_id", "experiment", "candidate", "metrics", "data_digest",
    "git_commit", "criteria_digest", "artifact_digest", "libraries", "created",
)  # fmt: skip
