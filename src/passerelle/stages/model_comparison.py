"""Whether two models are the same: what they hold, part by part, and what they answer to held-out rows and to hostile texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from passerelle.gate.agreement import Agreement, Rows, agreement_of
from passerelle.gate.perturbations import cases
from passerelle.gate.scorer_agreement import file_differences, unseen_ngrams
from passerelle.model.classifier import load_pipeline, pipeline_rows
from passerelle.model.fitted_state import ROUNDING, state_differences
from passerelle.model.flavors import FLAVORS
from passerelle.model.flavors.flavor import FittedClassifier
from passerelle.model.golden import read_golden
from passerelle.model.loaded import scorer_rows
from passerelle.model.mlmodel import ModelDescription, describe
from passerelle.names import SCORER_FOLDER
from passerelle.scorer.compile.pipeline import compile_pipeline
from passerelle.scorer.compile.pipeline_label import pipeline_label
from passerelle.scorer.scorer import CompiledScorer
from passerelle.scorer.storage import is_packed, unpack


@dataclass(frozen=True)
class ModelComparison:
    """How a model that was trained again differs from the one that was recorded.

    Attributes:
        parts: Of the model that differ beyond rounding, and by how much.
        answers: Of the recorded model and of the new one, to held-out rows, to changed ones and to hostile texts.
        scorer: Of the registered scorer and of the new model, to the same; None where the version has no scorer.
        held_out_rows: That both were asked about, as they are.
    """

    parts: tuple[str, ...]
    answers: Agreement
    scorer: Agreement | None
    held_out_rows: int

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.parts and not self.answers.differing and not (self.scorer and self.scorer.differing)

    @property
    def problems(self) -> tuple[str, ...]:
        """What differs, a sentence each; no text of a record is in it."""
        return tuple(self._problems())

    def _problems(self) -> Iterator[str]:
        yield from (f"another model: {part}" for part in self.parts)
        for what, found in (("the model", self.answers), ("the registered scorer", self.scorer)):
            if found is not None and found.differing:
                yield (
                    f"{what} answers {found.differing} of {found.records} records differently: {found.labels} labels, probabilities by "
                    f"up to {found.largest:.2g}, first at row {found.row} ({found.change})"
                )


def compare_models(recorded: Path, again: Path, rows: pd.DataFrame | None, golden: Path) -> ModelComparison:
    """Return how the two models of these directories differ.

    Args:
        recorded: The version's, with its scorer where it has one.
        again: Of the second training.
        rows: That the training of the version held out; None where they are gone, and the golden inputs stand in for them.
        golden: The version's golden predictions.

    Raises:
        IntegrityError: One of the two would run code when loaded, or cannot be read.
    """
    ours, theirs = (_loaded(folder) for folder in (recorded, again))
    scorer_or_refusal = compile_pipeline(theirs[0])
    compiled = scorer_or_refusal if isinstance(scorer_or_refusal, CompiledScorer) else None
    scorer, parts = None, list(state_differences(ours[0], theirs[0]))
    if is_packed(recorded / SCORER_FOLDER):
        scorer = unpack(recorded / SCORER_FOLDER, pipeline_label=lambda questions: pipeline_label(ours[0], questions))
        parts += file_differences(recorded / SCORER_FOLDER, compiled, rounding=ROUNDING) if compiled is not None else ()
    columns = theirs[1].column_names
    table = (pd.DataFrame(read_golden(golden).inputs) if rows is None else rows).reindex(columns=columns)
    ngrams = unseen_ngrams(compiled, scorer or compiled, golden) if compiled is not None else ()
    questions, new = cases(table, ngrams, rows=len(table)), _answers_of(*theirs)
    return ModelComparison(
        tuple(parts),
        agreement_of(_answers_of(*ours), new, questions),
        agreement_of((scorer.classes, lambda given: scorer_rows(scorer, given)), new, questions) if scorer is not None else None,
        0 if rows is None else len(rows),
    )


def _loaded(folder: Path) -> tuple[FittedClassifier, ModelDescription]:
    description = describe(folder)
    return load_pipeline(folder, description), description


def _answers_of(pipeline: FittedClassifier, description: ModelDescription) -> tuple[tuple[object, ...], Rows]:
    columns, flavor = description.column_names, description.flavor
    return FLAVORS[flavor].classes(pipeline), lambda given: pipeline_rows(pipeline, columns, given, flavor=flavor)
