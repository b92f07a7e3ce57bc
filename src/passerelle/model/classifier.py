"""The fitted classifier of a model's directory: loaded, and asked for labels."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from passerelle.errors import DigestError, OutsideError
from passerelle.model.answer import ScoredRow, predict_with
from passerelle.model.flavors import FLAVORS, TRAINED_FLAVOR
from passerelle.model.flavors.flavor import FittedClassifier, Records
from passerelle.model.golden import Predict
from passerelle.model.manifest import digest_of_file
from passerelle.model.mlmodel import ModelDescription


def load_pipeline(folder: Path, description: ModelDescription) -> FittedClassifier:
    """Return the fitted classifier of the directory.

    Raises:
        IntegrityError: The file names a type that the operator does not trust, unpacks to too much, or cannot be read.
        UsageError: What is in it cannot classify.
        OutsideError: The libraries that load it are not installed, as in the image of a compiled model.
    """
    flavor = FLAVORS[description.flavor]
    if not pipelines_load_here(description.flavor):
        message = f"the model's pipeline is needed, and {flavor.title} is not installed here"
        raise OutsideError(message, hint="passerelle containerize --with-pipeline")
    return flavor.load(folder / description.model_file, pickled=description.pickled)


def pipelines_load_here(flavor: str) -> bool:
    """Return whether the packages that load a model of this flavor are installed."""
    return all(importlib.util.find_spec(name) for name in FLAVORS[flavor].requirements)


def pipeline_rows(pipeline: FittedClassifier, columns: Sequence[str], records: Records, *, flavor: str) -> list[ScoredRow]:
    """Return the predictions of a fitted classifier.

    Raises:
        ValueError: It gives another number of labels or probabilities than there are records, or a label that is not among its classes.
    """
    classes = FLAVORS[flavor].classes(pipeline)
    labels, probabilities = FLAVORS[flavor].predict(pipeline, columns, records)
    rows: Sequence[Sequence[float] | None] = [None] * len(labels) if probabilities is None else probabilities
    if not len(labels) == len(rows) == len(records):
        raise ValueError(f"{len(records)} records got {len(labels)} labels and {len(rows)} rows of probabilities")
    return [ScoredRow(classes.index(label), row) for label, row in zip(labels, rows, strict=True)]


def pipeline_predict(pipeline: FittedClassifier, columns: Sequence[str], *, flavor: str = TRAINED_FLAVOR) -> Predict:
    """Return a predict function over a fitted classifier, for the golden predictions."""
    return predict_with(lambda records: pipeline_rows(pipeline, columns, records, flavor=flavor), FLAVORS[flavor].classes(pipeline))


class FittedPipeline:
    """The fitted pipeline of a model, loaded on first use: scikit-learn takes seconds to import, and a scorer needs none.

    Args:
        digest: Of its file when the model was checked; what stands there at its first use must be the same. None where nothing was checked.
    """

    def __init__(self, folder: Path, description: ModelDescription, digest: str | None = None) -> None:
        self._folder = folder
        self._description = description
        self._digest = digest
        self._lock = threading.Lock()
        self._loaded: FittedClassifier | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether it is loaded already."""
        return self._loaded is not None

    @property
    def is_available(self) -> bool:
        """Whether it can be loaded here."""
        return self.is_loaded or ((self._folder / self._description.model_file).is_file() and pipelines_load_here(self._description.flavor))

    def __call__(self) -> FittedClassifier:
        """Return the pipeline.

        Raises:
            IntegrityError: It would run code when loaded, cannot be read, or is another one than was checked.
            OutsideError: The libraries that load it are not installed.
        """
        with self._lock:
            if self._loaded is None:
                self._check_unchanged()
                self._loaded = load_pipeline(self._folder, self._description)
            return self._loaded

    def _check_unchanged(self) -> None:
        path = self._folder / self._description.model_file
        try:
            unchanged = self._digest is None or digest_of_file(path) == self._digest
        except OSError:
            unchanged = False
        if not unchanged:
            message = f"the model's file {self._description.model_file} changed after the model was loaded"
            raise DigestError(message, hint="passerelle import; passerelle deploy")

    @property
    def classes(self) -> tuple[object, ...]:
        """The labels that it may give; it is loaded for them."""
        return FLAVORS[self._description.flavor].classes(self())

    def rows(self, records: Records) -> list[ScoredRow]:
        """Return what the pipeline says of each record.

        Raises:
            IntegrityError: As `__call__`.
            OutsideError: As `__call__`.
        """
        return pipeline_rows(self(), self._description.column_names, records, flavor=self._description.flavor)

    def label(self, question: Mapping[str, object] | str) -> object:
        """Return the pipeline's own label of a record, or of a text where it takes no table.

        Raises:
            IntegrityError: As `__call__`.
            OutsideError: As `__call__`.
        """
        return FLAVORS[self._description.flavor].label(self(), question)


class PipelineNeededError(Exception):
    """Rounding decides about a label, and the pipeline that must be asked is not loaded."""
