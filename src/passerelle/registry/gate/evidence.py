"""What the gate judges by: both models, loaded and scored by the gate itself on the challenger's held-out rows."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil

from passerelle.errors import IntegrityError, NotFoundError
from passerelle.names import ModelVersionRef
from passerelle.registry.client import Registry
from passerelle.registry.gate.rows import row_hashes
from passerelle.registry.gate.scores import Scores
from passerelle.serving.load import Column, ModelDescription, describe, load_pipeline

HELD_OUT = "data/held_out.parquet"
TRAIN_HASHES = "data/train_hashes.json"
_PARENT = "mlflow.parentRunId"
_LATENCY_RECORDS = 40
_LABEL, _GROUP = "label", "group"


@dataclass(frozen=True)
class Contender:
    """One of the two models.

    Attributes:
        version: Of the registered model.
        scores: On the rows that are judged by.
        columns: Of its signature.
        libraries: That it was made with, by name.
        train_hashes: Of the rows that it learned from; None where its run does not say.
        memory_mib: That its loaded pipeline holds.
    """

    version: int
    candidate: str
    scores: Scores
    columns: tuple[Column, ...]
    libraries: Mapping[str, str]
    train_hashes: frozenset[str] | None
    memory_mib: float

    @property
    def figures(self) -> Mapping[str, float]:
        """The figures that criteria may limit."""
        return {**self.scores.figures, "memory_mib": self.memory_mib}


@dataclass(frozen=True)
class Evidence:
    """What is judged.

    Attributes:
        records: The rows that are judged by, without their labels.
        champion: The version in production; None before the first promotion, and where it takes other columns than these rows have.
        champion_columns: Of its signature, if there is one in production.
        held_out: Rows that the challenger's training held out.
        leaked: Rows among them that the challenger learned from all the same.
        champion_knows: Rows among them that the champion learned from; they are left out where enough others remain.
        serving: Version of each library in the serving image; empty where that is not known.
    """

    registered_model: str
    records: pd.DataFrame
    challenger: Contender
    champion: Contender | None
    champion_columns: tuple[Column, ...] | None
    held_out: int
    leaked: int
    champion_knows: int
    serving: Mapping[str, str]


def gather(
    registry: Registry, challenger: ModelVersionRef, champion: ModelVersionRef | None, *, serving: Mapping[str, str], least_rows: int
) -> Evidence:
    """Download, load and score both.

    Raises:
        NotFoundError: The challenger's training logged no held-out rows, or a model's files are gone.
        IntegrityError: A model would run code when loaded.
    """
    with tempfile.TemporaryDirectory(prefix="passerelle-gate-") as temporary:
        folder = Path(temporary)
        table = _held_out(registry, challenger, folder)
        records, truth = table.drop(columns=[_LABEL, _GROUP], errors="ignore"), table[_LABEL].to_numpy(dtype=str)
        hashes = np.array(row_hashes(records))
        own = _train_hashes(registry, challenger)
        if own is None:
            raise NotFoundError(f"the run of {challenger} does not say what it learned from", hint="passerelle train; passerelle register")
        theirs = _train_hashes(registry, champion) if champion else None
        leaked = np.isin(hashes, list(own))
        known = np.isin(hashes, list(theirs)) if theirs else np.zeros(len(hashes), dtype=bool)
        # Rows that the champion learned from flatter it; but too few rows tell nothing.
        judged = ~leaked & ~known if int((~leaked & ~known).sum()) >= max(least_rows, len(hashes) // 2) else ~leaked
        if not judged.any():
            judged = np.ones(len(hashes), dtype=bool)
        rows, right = records[judged].reset_index(drop=True), truth[judged]
        columns = describe(registry.download_model(champion, folder / "champion")).columns if champion else None
        scored = champion is not None and columns is not None and {column.name for column in columns} <= set(rows.columns)
        return Evidence(
            challenger.registered_model,
            rows,
            _contender(registry, challenger, folder / "challenger", hashes=own, records=rows, truth=right),
            _contender(registry, champion, folder / "champion", hashes=theirs, records=rows, truth=right) if champion and scored else None,
            columns,
            len(hashes),
            int(leaked.sum()),
            int(known.sum()),
            serving,
        )


def _parent(registry: Registry, ref: ModelVersionRef) -> str:
    return registry.run(ref.run_id).tags.get(_PARENT, ref.run_id)


def _held_out(registry: Registry, ref: ModelVersionRef, folder: Path) -> pd.DataFrame:
    parent = _parent(registry, ref)
    try:
        table = pd.read_parquet(registry.run_artifact(parent, HELD_OUT, folder))
    except NotFoundError as error:
        raise NotFoundError(f"the training {parent} of {ref} holds no {HELD_OUT}: nothing to judge by", hint="passerelle train") from error
    if table.empty or _LABEL not in table:
        raise IntegrityError(f"{HELD_OUT} of the training {parent} holds no labelled rows", hint="passerelle train")
    return table


def _train_hashes(registry: Registry, ref: ModelVersionRef) -> frozenset[str] | None:
    try:
        return frozenset(registry.read_json(_parent(registry, ref), TRAIN_HASHES)["rows"])
    except (NotFoundError, KeyError):
        return None


def _contender(
    registry: Registry, ref: ModelVersionRef, folder: Path, *, hashes: frozenset[str] | None, records: pd.DataFrame, truth: Any
) -> Contender:
    path = registry.download_model(ref, folder)
    description = describe(path)
    pipeline, memory_mib = _loaded(path, description)
    table = records.reindex(columns=[column.name for column in description.columns])
    probabilities = np.asarray(pipeline.predict_proba(table), dtype=np.float64) if hasattr(pipeline, "predict_proba") else None
    scores = Scores(
        truth,
        np.asarray(pipeline.predict(table), dtype=str),
        probabilities,
        tuple(map(str, pipeline.classes_)),
        _latency_p95_ms(pipeline, table),
        float(sum(file.stat().st_size for file in path.rglob("*") if file.is_file())),
    )
    candidate = registry.run(ref.run_id).name
    return Contender(ref.version, candidate, scores, description.columns, description.libraries, hashes, memory_mib)


def _loaded(path: Path, description: ModelDescription) -> tuple[Any, float]:
    """Return the pipeline and by how much this process grew with it, in MiB; what is freed in between makes it less."""
    import skops.io  # noqa: F401, PLC0415 - not to be counted

    process = psutil.Process()
    gc.collect()
    before = process.memory_info().rss
    pipeline = load_pipeline(path, description)
    return pipeline, max(0.0, (process.memory_info().rss - before) / 2**20)


def _latency_p95_ms(pipeline: Any, table: pd.DataFrame) -> float:
    singles = [table.iloc[[place % len(table)]] for place in range(_LATENCY_RECORDS)]
    taken = []
    for single in [*singles[:3], *singles]:
        began = time.perf_counter()
        pipeline.predict(single)
        taken.append((time.perf_counter() - began) * 1_000)
    return float(np.percentile(taken[3:], 95))
