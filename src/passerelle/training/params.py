"""The figures that a training depends on; a project sets its own in training/params.py."""

from __future__ import annotations

from dataclasses import dataclass

from passerelle.gate.latency import RECORDS
from passerelle.gate.near_duplicates import SIMILARITY
from passerelle.gate.scores import BINS


@dataclass(frozen=True)
class Params:
    """How the data are split and how candidates are measured.

    Attributes:
        folds: Folds of the cross-validation; the held-out test set is one fold of as many.
        near_duplicate_similarity: Cosine of character 5-grams from which two texts count as the same.
        golden_records: Records whose outputs travel with the model; more when there are more classes.
        latency_records: Records that the latency is measured on.
        calibration_bins: Bins of equal width of the expected calibration error.
    """

    folds: int = 5
    near_duplicate_similarity: float = SIMILARITY
    golden_records: int = 24
    latency_records: int = RECORDS
    calibration_bins: int = BINS

    @property
    def fewest_per_class(self) -> int:
        """One for each fold and one for the held-out test set."""
        return self.folds + 1

    def as_logged(self) -> dict[str, int | float]:
        """Return the figures under the names that MLflow shows."""
        return {f"params.{name}": value for name, value in vars(self).items()}
