"""What a flavor does: the one interface between MLflow's ways to save a model and everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

Records = Sequence[Mapping[str, object]]


class ModelFile(NamedTuple):
    """The file that holds the fitted model.

    Attributes:
        path: Relative to the model's directory.
        pickled: Whether it is a pickle, which runs code when it is loaded.
    """

    path: str
    pickled: bool


class FittedClassifier(Protocol):
    """A fitted classifier, as the libraries of all flavors make them.

    Attributes:
        classes_: An array of its labels.
    """

    classes_: NDArray[np.generic]

    def predict(self, records: object) -> ArrayLike:
        """Return the label of each record."""

    def get_params(self, deep: bool = True) -> Mapping[str, object]:
        """Return what it was made with, and with `deep` the same of its parts."""


class Flavor(Protocol):
    """One of MLflow's flavors.

    Attributes:
        title: The library's name, for messages.
        requirements: Packages, by the name that is imported, without which no model of the flavor can be loaded.
        packages: All packages, by the name that is imported, that loading may ask for.
    """

    title: str
    requirements: tuple[str, ...]
    packages: frozenset[str]

    def describe(self, entry: Mapping[str, object]) -> ModelFile:
        """Return the model's file, as the flavor's entry in the MLmodel file names it; nothing is loaded.

        Raises:
            IntegrityError: It is of a form that the operator does not trust.
        """

    def libraries(self, entry: Mapping[str, object]) -> dict[str, str]:
        """Return the version of each library that the flavor's entry in the MLmodel file names, by the library's name."""

    def load(self, path: Path, *, pickled: bool) -> FittedClassifier:
        """Return the fitted classifier of the file.

        Raises:
            IntegrityError: The file names a type that the operator does not trust, unpacks to too much, or cannot be read.
            UsageError: What is in it cannot classify.
        """

    def classes(self, classifier: FittedClassifier) -> tuple[object, ...]:
        """Return the classifier's classes, in Python's types."""

    def predict(
        self, classifier: FittedClassifier, columns: Sequence[str], records: Records
    ) -> tuple[Sequence[object], Sequence[Sequence[float]] | None]:
        """Return the label of each record, and its probabilities in the order of the classes, or None without probabilities."""

    def label(self, classifier: FittedClassifier, question: Mapping[str, object] | str) -> object:
        """Return the label of one record, or of one text where the classifier takes no table."""
