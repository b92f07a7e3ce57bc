"""The evidence of the gate: both models, loaded and scored by the gate itself on the challenger's held-out rows."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from passerelle.errors import TRAIN_AGAIN, IntegrityError, NotFoundError
from passerelle.gate.held_out import LABEL, VersionFiles, download_version, held_out, train_hashes
from passerelle.gate.latency import RECORDS, latency
from passerelle.gate.row_hashes import row_hashes
from passerelle.gate.scores import Labels, Scores
from passerelle.model.answer import answer_of
from passerelle.model.classifier import load_pipeline, pipeline_rows
from passerelle.model.flavors import FLAVORS
from passerelle.model.mlmodel import ModelDescription, describe
from passerelle.model.record import Column
from passerelle.names import ModelVersionRef
from passerelle.registry.client import Registry

_GROUP = "group"
_TRAIN = "passerelle train --again; passerelle register"


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
        champion_version: The version in production, whether it is scored or not.
        champion_says: Whether the run of the one in production still says what it learned from.
        held_out: Rows that the challenger's training held out.
        leaked: Rows among them that the challenger learned from all the same.
        serving: Version of each library in the serving image; empty where that is not known.
    """

    registered_model: str
    records: pd.DataFrame
    challenger: Contender
    champion: Contender | None
    champion_columns: tuple[Column, ...] | None
    held_out: int
    leaked: int
    serving: Mapping[str, str]
    champion_version: int | None = None
    champion_says: bool = True


def gather(
    registry: Registry, challenger: ModelVersionRef, champion: ModelVersionRef | None, *, serving: Mapping[str, str], least_rows: int
) -> Evidence:
    """Download, load and score both.

    Raises:
        NotFoundError: The challenger's training logged no held-out rows, or a model's files are gone.
        IntegrityError: A file is not the one that was registered, or a model would run code when loaded.
    """
    with tempfile.TemporaryDirectory(prefix="passerelle-gate-") as temporary:
        folder = Path(temporary)
        ours = download_version(registry, challenger, folder / "challenger")
        theirs = download_version(registry, champion, folder / "champion") if champion else None
        table = held_out(registry, ours, folder / "challenger")
        records, truth = table.drop(columns=[LABEL, _GROUP], errors="ignore"), table[LABEL].to_numpy(dtype=str)
        learned = train_hashes(registry, ours, folder / "challenger")
        if learned is None:
            raise NotFoundError(f"the run of {challenger} does not say what it learned from", hint=_TRAIN)
        known = train_hashes(registry, theirs, folder / "champion") if theirs else None
        leaked, familiar = _among(records, learned), _among(records, known or frozenset())
        # Rows that the champion was trained on favour it, but too few rows have no significance.
        judged = ~leaked & ~familiar if int((~leaked & ~familiar).sum()) >= max(least_rows, len(table) // 2) else ~leaked
        if not judged.any():
            judged = np.ones(len(table), dtype=bool)
        rows, right = records[judged].reset_index(drop=True), truth[judged]
        columns = describe(theirs.folder).columns if theirs else None
        scored = columns is not None and {column.name for column in columns} <= set(rows.columns)
        return Evidence(
            challenger.registered_model,
            rows,
            _contender(registry, ours, hashes=learned, records=rows, truth=right),
            _contender(registry, theirs, hashes=known, records=rows, truth=right) if theirs and scored else None,
            columns,
            len(table),
            int(leaked.sum()),
            serving,
            theirs.ref.version if theirs else None,
            theirs is None or known is not None,
        )


def _among(records: pd.DataFrame, hashes: frozenset[str]) -> NDArray[np.bool_]:
    return np.isin(np.array(row_hashes(records)), list(hashes)) if hashes else np.zeros(len(records), dtype=np.bool_)


def _contender(
    registry: Registry, files: VersionFiles, *, hashes: frozenset[str] | None, records: pd.DataFrame, truth: Labels
) -> Contender:
    path = files.folder
    description = describe(path)
    pipeline, memory_mib = _loaded(path, description)
    table = records.reindex(columns=description.column_names)
    with _predicting(files.ref):
        classes = tuple(map(str, FLAVORS[description.flavor].classes(pipeline)))
        dictionaries = [{str(name): value for name, value in record.items()} for record in table.to_dict(orient="records")]
        rows = pipeline_rows(pipeline, description.column_names, dictionaries, flavor=description.flavor)
        predicted = np.asarray([answer_of(row, classes).label for row in rows], dtype=str)
        probabilities = None if rows[0].probabilities is None else np.asarray([row.probabilities for row in rows], dtype=np.float64)
        if predicted.shape != (len(table),) or not (probabilities is None or _are_probabilities(probabilities, len(table), len(classes))):
            raise ValueError("not a label and a probability of each class for each row")
        cost = latency(pipeline, table.head(RECORDS), flavor=description.flavor)
    size_bytes = float(sum(file.stat().st_size for file in path.rglob("*") if file.is_file()))
    scores = Scores(truth, predicted, probabilities, classes, cost.p95_ms, size_bytes)
    candidate = registry.run(files.ref.run_id).name
    return Contender(files.ref.version, candidate, scores, description.columns, description.libraries, hashes, memory_mib)


@contextmanager
def _predicting(ref: ModelVersionRef) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RuntimeError) as error:
        # The message of scikit-learn quotes the record.
        message = f"the model {ref} does not predict the held-out rows: {type(error).__name__}"
        raise IntegrityError(message, hint=TRAIN_AGAIN) from None


def _are_probabilities(given: NDArray[np.float64], rows: int, classes: int) -> bool:
    return given.shape == (rows, classes) and bool(np.isfinite(given).all())


def _loaded(path: Path, description: ModelDescription) -> tuple[BaseEstimator, float]:
    """Return the pipeline and by how much this process grew with it, in MiB; what is freed in between makes it less."""
    import skops.io  # noqa: F401, PLC0415 - not to be counted

    process = psutil.Process()
    gc.collect()
    before = process.memory_info().rss
    pipeline = load_pipeline(path, description)
    return pipeline, max(0.0, (process.memory_info().rss - before) / 2**20)
