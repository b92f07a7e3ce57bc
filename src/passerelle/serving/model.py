"""The model that is served: loaded, compiled where that gives the same answers, and held to its golden predictions."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from passerelle.errors import IntegrityError
from passerelle.serving.golden import Golden, Predict, pipeline_predict, read_golden, replay
from passerelle.serving.load import ModelDescription, describe, load_pipeline
from passerelle.serving.manifest import check_manifest

if TYPE_CHECKING:
    from passerelle.serving.scorer import CompiledScorer

MODEL_FOLDER = "mlflow_model"
_COLLECTOR_THRESHOLD = 50_000


class Row(NamedTuple):
    """What the model says of one record: the label and the probabilities in the order of the classes, or None."""

    label: Any
    probabilities: Sequence[float] | None


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
    """

    lineage: Mapping[str, Any]
    description: ModelDescription
    classes: tuple[Any, ...]
    pipeline: Any
    scorer: CompiledScorer | None
    not_compiled: str | None
    golden: Golden
    golden_difference: float
    load_seconds: float
    since: str

    @property
    def version(self) -> str:
        """The version of the registered model."""
        return str(self.lineage["version"])

    def rows(self, records: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Return what the model says of each record."""
        if self.scorer is not None:
            return scorer_rows(self.scorer, records)
        labels, probabilities = pipeline_predict(self.pipeline, [column.name for column in self.description.columns])(records)
        return [Row(label, None if probabilities is None else probabilities[place]) for place, label in enumerate(labels)]


def scorer_rows(scorer: CompiledScorer, records: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return what the compiled scorer says of each record."""
    indices, table = scorer.answers(records)
    probabilities = table.tolist() if scorer.has_probabilities else [None] * len(records)
    return [Row(scorer.classes[index], row) for index, row in zip(indices.tolist(), probabilities, strict=True)]


def load_model(folder: Path) -> LoadedModel:
    """Return the model of a bento model's directory, checked against its manifest and its golden predictions.

    Raises:
        IntegrityError: A file is not the one that was registered, the model would run code when loaded, or a golden prediction differs.
    """
    began = time.perf_counter()
    try:
        lineage = json.loads((folder / "lineage.json").read_bytes())
        manifest = json.loads((folder / "manifest.json").read_bytes())
    except (OSError, ValueError) as error:
        raise IntegrityError(f"{folder.name} is not a bento model of passerelle", hint="passerelle import; passerelle build") from error
    model_folder = folder / MODEL_FOLDER
    check_manifest(model_folder, folder / "golden.json", manifest, expected_digest=str(lineage["artifact_digest"]))
    description = describe(model_folder)
    pipeline = load_pipeline(model_folder, description)
    golden = read_golden(folder / "golden.json")
    scorer, why, difference = _compiled(pipeline, golden, description)
    return LoadedModel(
        lineage=lineage,
        description=description,
        classes=tuple(pipeline.classes_.tolist()),
        pipeline=pipeline,
        scorer=scorer,
        not_compiled=why,
        golden=golden,
        golden_difference=difference,
        load_seconds=time.perf_counter() - began,
        since=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _compiled(pipeline: Any, golden: Golden, description: ModelDescription) -> tuple[CompiledScorer | None, str | None, float]:
    """Return the scorer where there is one that reproduces the golden predictions, else why the pipeline itself answers."""
    # scikit-learn takes seconds to import: only a worker that loads a model pays for it, not the process that starts the workers.
    from passerelle.serving.scorer import CompiledScorer, compile_pipeline  # noqa: PLC0415

    compiled = compile_pipeline(pipeline)
    if isinstance(compiled, CompiledScorer):
        try:
            return compiled, None, replay(golden, _scorer_predict(compiled))
        except IntegrityError as error:
            why = f"compiled, it does not reproduce the golden predictions: {error.message}"
    else:
        why = f"{compiled.part}: {compiled.why}"
    return None, why, replay(golden, pipeline_predict(pipeline, [column.name for column in description.columns]))


def _scorer_predict(scorer: CompiledScorer) -> Predict:
    def predict(records: Sequence[Mapping[str, Any]]) -> tuple[Sequence[Any], Sequence[Sequence[float]] | None]:
        rows = scorer_rows(scorer, records)
        return [row.label for row in rows], [list(row.probabilities or ()) for row in rows] if scorer.has_probabilities else None

    return predict


def freeze() -> None:
    """Take what is loaded out of the garbage collector's sight: its pauses, not work, make the long tail of latencies."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECTOR_THRESHOLD, 50, 100)
