"""How a version does on the held-out rows of its training, scored once and kept in the state folder."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from passerelle.errors import NotFoundError
from passerelle.gate.evidence import Evidence, gather
from passerelle.gate.scores import Scores
from passerelle.monitoring.drift.rules import Measure
from passerelle.monitoring.drift.training_rows import TrainingRows
from passerelle.names import ARTIFACT_DIGEST, ModelVersionRef
from passerelle.registry.client import Registry
from passerelle.regular_file import MOST_MODEL_BYTES, read_json_file
from passerelle.settings import SigningSettings
from passerelle.stages.promote_environment import prepared

_SCHEMA = 1


def training_rows(registry: Registry, ref: ModelVersionRef, folder: Path, signing: SigningSettings | None = None) -> TrainingRows | None:
    """Return the version on its held-out rows; None where its training stored none.

    Args:
        folder: Keeps what was scored, by the digest of the version's files.
        signing: What the signature of an adopted version is verified with, whose environment is made where it is missing.

    Raises:
        IntegrityError: The version's files or the held-out rows are not those that were registered.
    """
    digest = registry.model_version(ref.registered_model, ref.version).tags.get(ARTIFACT_DIGEST, ref.run_id)
    path = folder / f"training-{digest.removeprefix('sha256:')[:16]}.json"
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        kept = read_json_file(path, MOST_MODEL_BYTES)
        if kept.pop("schema") == _SCHEMA:
            return TrainingRows(**kept)
    try:
        evidence = gather(registry, ref, None, serving={}, least_rows=1, prepare=partial(prepared, registry, signing))
    except NotFoundError:
        return None
    if not isinstance(evidence, Evidence):
        return None
    found = rows_of_scores(ref.version, evidence.challenger.scores, evidence.records)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"schema": _SCHEMA, **asdict(found)}, ensure_ascii=False), encoding="utf-8")
    return found


def rows_of_scores(version: int, scores: Scores, records: pd.DataFrame) -> TrainingRows:
    """Return what the scores of held-out rows come to."""
    labels, counts = np.unique(scores.predicted, return_counts=True)
    right = (scores.truth == scores.predicted).astype(np.float64)
    figures: dict[Measure, tuple[float, float]] = {"accuracy": _moments(right)}
    if scores.probabilities is not None:
        figures["confidence"] = _moments(scores.probabilities.max(axis=1))
    texts = records.select_dtypes(include=["object", "string"])
    if len(texts.columns):
        words = texts.apply(lambda column: column.astype(str).str.split().str.len()).sum(axis=1)
        figures["length"] = _moments(np.log1p(words.to_numpy(dtype=np.float64)))
    by_label = dict(zip(map(str, labels), map(int, counts), strict=True))
    return TrainingRows(version, len(scores.truth), by_label, figures, scores.figures.get("calibration_error"))


def _moments(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[float, float]:
    return float(values.mean()), float(values.var())
