"""What a training compares: a named pipeline that has not been fitted."""

from __future__ import annotations

from dataclasses import dataclass

from sklearn.pipeline import Pipeline


@dataclass(frozen=True)
class Candidate:
    """A pipeline that has not been fitted.

    Attributes:
        name: Lower case with underscores; the run's name and tag.
        description: One line for people.
        pipeline: Takes a DataFrame with the record's columns.
        trusted_types: Types of scikit-learn that the model's allow-list must name for skops to load it.
    """

    name: str
    description: str
    pipeline: Pipeline
    trusted_types: tuple[str, ...] = ()
