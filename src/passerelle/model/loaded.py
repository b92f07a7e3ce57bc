"""The model that is served: loaded, compiled if that gives the same answers, and checked by its golden predictions."""

from __future__ import annotations

import gc
import shutil
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from passerelle.errors import IntegrityError
from passerelle.model.adoption import Task
from passerelle.model.answer import Answer, ScoredRow, answer_of, plain_label, predict_with
from passerelle.model.classifier import FittedPipeline, PipelineNeededError
from passerelle.model.golden import Golden, Predict, read_golden, replay
from passerelle.model.hosted import HostedModel, Outputs, hosted_predict, open_hosted
from passerelle.model.lineage import read_lineage
from passerelle.model.manifest import check_manifest, read_manifest
from passerelle.model.mlmodel import ModelDescription, describe
from passerelle.model.verify import check_stored_signature
from passerelle.names import GOLDEN, MODEL_FOLDER, RUN_ID_LENGTH_IN_TAG, SCORER_FOLDER
from passerelle.scorer.scorer import CompiledScorer
from passerelle.scorer.storage import pack, unpack
from passerelle.settings import SigningSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from passerelle.scorer.sections import Floats

_COLLECTOR_THRESHOLD = 50_000
_UNDECIDED = -1


@dataclass(frozen=True)
class LoadedModel:
    """A model that just reproduced its golden predictions.

    Attributes:
        lineage: Where it comes from; see docs/05-import.md.
        scorer: The compiled scorer, or None where the pipeline itself answers.
        not_compiled: Why the pipeline itself answers, if it does.
        golden_difference: Largest difference of a probability from what was seen at training.
        load_seconds: Time from the first file read to the last golden prediction.
        since: When it was loaded; ISO 8601, UTC.
        signer: Fingerprint of the key that signed it; None where no signature is required.
    """

    lineage: Mapping[str, Any]
    description: ModelDescription
    classes: tuple[Any, ...]
    pipeline: FittedPipeline | HostedModel
    scorer: CompiledScorer | None
    not_compiled: str | None
    golden: Golden
    golden_difference: float
    load_seconds: float
    since: str
    signer: str | None = None

    @cached_property
    def version(self) -> str:
        """The version of the registered model."""
        return str(self.lineage["version"])

    @cached_property
    def labels(self) -> tuple[Any, ...]:
        """The classes as answers have them: texts, numbers or booleans."""
        return tuple(plain_label(label) for label in self.classes)

    @cached_property
    def prediction_prefix(self) -> str:
        """Prefix of prediction ids, which leads back to the run of the model."""
        return str(self.lineage["run_id"])[:RUN_ID_LENGTH_IN_TAG]

    @cached_property
    def golden_inputs(self) -> frozenset[bytes]:
        """The golden inputs as JSON, with the columns of each in the order of their names."""
        return frozenset(orjson.dumps(record, option=orjson.OPT_SORT_KEYS) for record in self.golden.inputs)

    def answer(self, row: ScoredRow, *, review_threshold: float) -> Answer[Any]:
        """Return the answer for a row of this model."""
        return answer_of(row, self.labels, review_threshold=review_threshold)

    @property
    def task(self) -> Task:
        """What the model does with a record; those that passerelle trains classify."""
        return self.description.task

    @property
    def alive(self) -> bool:
        """Whether it can answer: the process of an adopted model may have ended for good."""
        return not isinstance(self.pipeline, HostedModel) or self.pipeline.alive

    def values(self, records: Sequence[Mapping[str, Any]], params: Mapping[str, object] | None = None) -> Outputs:
        """Return the values of a model of any task, and the probabilities of its classes where it has any.

        Raises:
            ValueError: The model cannot take one of the records.
            OutsideError: The process of an adopted model ended or took too long.
        """
        if isinstance(self.pipeline, HostedModel):
            return self.pipeline.predict(records, params)
        rows = self.rows(records)
        probabilities = [row.probabilities for row in rows if row.probabilities is not None]
        return Outputs([self.classes[row.label_index] for row in rows], probabilities if len(probabilities) == len(rows) else None)

    def close(self) -> None:
        """End the process of an adopted model; nothing else needs to be closed."""
        if isinstance(self.pipeline, HostedModel):
            self.pipeline.close()

    def rows(self, records: Sequence[Mapping[str, Any]]) -> list[ScoredRow]:
        """Return the prediction of a classifier for each record."""
        if self.scorer is not None:
            return scorer_rows(self.scorer, records)
        return self.pipeline.rows(records)

    def row_at_once(self, scorer: CompiledScorer, record: Mapping[str, Any]) -> ScoredRow:
        """Return what the scorer says of a record, within a millisecond.

        Raises:
            PipelineNeededError: The pipeline must be asked and is not loaded; `rows` loads it.
        """
        index, row, share = scorer.answer(record, ask=self._ask)
        return ScoredRow(index, row.tolist() if scorer.has_probabilities else None, share)

    def row_in_slices(self, scorer: CompiledScorer, record: Mapping[str, Any]) -> Generator[None, None, ScoredRow]:
        """Return what `row_at_once` returns, of a record of any length; yields at least once a millisecond.

        Raises:
            PipelineNeededError: As `row_at_once`.
        """
        index, row, share = yield from scorer.answer_in_slices(record, ask=self._ask)
        return ScoredRow(index, row.tolist() if scorer.has_probabilities else None, share)

    def rows_in_slices(
        self, scorer: CompiledScorer, records: Sequence[Mapping[str, Any]], lengths: Sequence[int], *, at_once: int
    ) -> Generator[None, None, list[ScoredRow | None]]:
        """Return what the scorer says of each record, None where the pipeline must be asked and is not loaded.

        Args:
            scorer: Of this model.
            records: Any number.
            lengths: Of the texts of each record.
            at_once: Length that is scored between two yields.
        """

        def ask(record: Mapping[str, object]) -> int:
            try:
                return self._ask(record)
            except PipelineNeededError:
                return _UNDECIDED

        indices, table, shares = yield from scorer.answers_in_slices(records, lengths, at_once=at_once, ask=ask)
        rows = _scored_rows(scorer, indices, table, shares)
        return [None if row.label_index == _UNDECIDED else row for row in rows]

    def _ask(self, record: Mapping[str, object]) -> int:
        if not self.pipeline.is_loaded or self.scorer is None:
            raise PipelineNeededError
        return self.scorer.ask(record)


def scorer_rows(scorer: CompiledScorer, records: Sequence[Mapping[str, Any]]) -> list[ScoredRow]:
    """Return what the compiled scorer says of each record."""
    return _scored_rows(scorer, *scorer.answers_with_shares(records))


def _scored_rows(scorer: CompiledScorer, indices: NDArray[np.intp], table: Floats, shares: Floats) -> list[ScoredRow]:
    probabilities = table.tolist() if scorer.has_probabilities else [None] * len(indices)
    return [ScoredRow(*row) for row in zip(indices.tolist(), probabilities, shares.tolist(), strict=True)]


def load_model(folder: Path, *, signing: SigningSettings | None = None, scorer_alone: bool = False) -> LoadedModel:
    """Return the model of a bento model's directory, checked against its manifest, its signature and its golden predictions.

    Args:
        scorer_alone: Whether the directory of a compiled model may lack the files that only its pipeline needs.
        signing: What the signature is verified with; by default what the environment says, so that no caller can forget it.

    Raises:
        IntegrityError: A file is not the one that was registered, the model would run code when loaded, a golden prediction differs,
            or a signature is required and there is none by a key of the operator's.
        OutsideError: The pipeline is needed, and the libraries that load it are not installed.
    """
    began = time.perf_counter()
    lineage, manifest = read_lineage(folder), read_manifest(folder)
    model_folder = folder / MODEL_FOLDER
    check_manifest(model_folder, folder / GOLDEN, manifest, expected_digest=str(lineage["artifact_digest"]), scorer_alone=scorer_alone)
    signing = signing or SigningSettings.read()
    signer = check_stored_signature(folder, manifest, signing, run_id=str(lineage["run_id"]))
    description = describe(model_folder, scorer_alone=scorer_alone)
    golden = read_golden(folder / GOLDEN)
    pipeline, scorer, why, difference = _predicting(folder, description, golden, manifest, signed=signer is not None)
    return LoadedModel(
        lineage=lineage,
        description=description,
        classes=scorer.classes if scorer is not None else pipeline.classes,
        pipeline=pipeline,
        scorer=scorer,
        not_compiled=why,
        golden=golden,
        golden_difference=difference,
        load_seconds=time.perf_counter() - began,
        signer=signer,
        since=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _predicting(
    folder: Path, description: ModelDescription, golden: Golden, manifest: Mapping[str, Any], *, signed: bool
) -> tuple[FittedPipeline | HostedModel, CompiledScorer | None, str | None, float]:
    """Return what reproduced the golden predictions: the pipeline, the scorer or why there is none, and the difference."""
    if description.adoption is not None:
        hosted = open_hosted(folder, signed=signed)
        try:
            return hosted, None, "adopted: its own process answers", replay(golden, hosted_predict(hosted))
        except BaseException:
            hosted.close()
            raise
    pipeline = FittedPipeline(folder / MODEL_FOLDER, description, manifest["files"].get(description.model_file))
    scorer, why, difference = _scorer(folder / MODEL_FOLDER, pipeline, golden)
    if scorer is None:
        difference = replay(golden, predict_with(pipeline.rows, pipeline.classes))
    return pipeline, scorer, why, difference


def _scorer(folder: Path, pipeline: FittedPipeline, golden: Golden) -> tuple[CompiledScorer | None, str | None, float]:
    """Return the scorer where there is one that reproduces the golden predictions, else why the pipeline itself answers."""
    stored = read_scorer(folder, pipeline)
    if stored is not None:
        try:
            return stored, None, replay(golden, scorer_predict(stored))
        except IntegrityError:
            # Other library versions may have made it: it is compiled again where possible, and checked against the same predictions.
            if not pipeline.is_available:
                raise
    return compiled(pipeline(), golden)


def compiled(pipeline: Any, golden: Golden) -> tuple[CompiledScorer | None, str | None, float]:
    """Return a scorer of the pipeline that reproduces the golden predictions, and by how much it differs; or why there is none."""
    from passerelle.scorer.compile.pipeline import compile_pipeline  # noqa: PLC0415 - needs scikit-learn

    scorer = compile_pipeline(pipeline)
    if not isinstance(scorer, CompiledScorer):
        return None, f"{scorer.part}: {scorer.why}", 0.0
    try:
        return scorer, None, replay(golden, scorer_predict(scorer))
    except IntegrityError as error:
        return None, f"compiled, it does not reproduce the golden predictions: {error.message}", 0.0


def write_scorer(folder: Path, pipeline: Any, golden: Golden) -> tuple[Path | None, str | None]:
    """Write the compiled scorer into the model's directory and return where; or why there is none.

    A former scorer is deleted in either case.
    """
    target = folder / SCORER_FOLDER
    shutil.rmtree(target, ignore_errors=True)
    scorer, why, _ = compiled(pipeline, golden)
    if scorer is None:
        return None, why
    pack(scorer, target)
    return target, None


def read_scorer(folder: Path, pipeline: FittedPipeline) -> CompiledScorer | None:
    """Return the scorer that lies in the model's directory, or None where there is none of this format.

    Raises:
        IntegrityError: Its files do not fit each other.
    """
    if not (folder / SCORER_FOLDER).is_dir():
        return None
    return unpack(folder / SCORER_FOLDER, pipeline_label=pipeline.label if pipeline.is_available else None)


def scorer_predict(scorer: CompiledScorer) -> Predict:
    """Return a predict function over a compiled scorer, for the golden predictions."""
    return predict_with(partial(scorer_rows, scorer), scorer.classes)


def freeze() -> None:
    """Exclude the loaded objects from garbage collection, whose pauses cause the long tail of latencies."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECTOR_THRESHOLD, 50, 100)
