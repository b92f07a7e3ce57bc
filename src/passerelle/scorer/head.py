"""From the scores of a text to a label, and to probabilities if the classifier has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from passerelle.scorer.links import TWO, Link, Softmax, sigmoid, simple_link_of
from passerelle.scorer.sections import Floats

_ROUNDING = 1e-5


@dataclass(frozen=True)
class Head:
    """A classifier as a function of the scores that are linear in a text's features.

    Attributes:
        classes: As in the classifier's `classes_`, in Python's types.
        scores: Number of scores; of two classes a margin has one, for the second.
        link: From scores to probabilities, or None where there are none.
        by_probability: Whether the label is that of the largest probability rather than of the largest score.
        positive: How one score becomes the probability of its class, or None.
    """

    classes: tuple[object, ...]
    scores: int
    link: Link | None
    by_probability: bool = False
    positive: str | None = None

    def rows(self, scores: Floats) -> Floats:
        """Return probabilities, or decision scores where there are none, shape (texts, classes)."""
        if self.link is not None:
            return self.link(scores)
        return np.concatenate([-scores, scores], axis=1) if self.scores == 1 else scores

    def deciding(self, scores: Floats, rows: Floats) -> Floats:
        """Return the values whose largest, the first of them in a tie, gives the label, shape (texts, classes)."""
        if self.by_probability:
            return rows
        return np.concatenate([np.zeros_like(scores), scores], axis=1) if self.scores == 1 else scores

    def spec(self) -> dict[str, object]:
        """Return the specification from which `head_from` makes the same head, in JSON types."""
        link = None if self.link is None else self.link.spec()
        return {**vars(self), "classes": list(self.classes), "link": link}


def head_from(spec: Mapping[str, Any]) -> Head:
    """Return the head of this specification.

    Raises:
        KeyError, TypeError: It is none.
    """
    link = spec["link"]
    function = None if link is None else Average.of(link) if link["kind"] == "average" else simple_link_of(link)
    return Head(**{**spec, "classes": tuple(spec["classes"]), "link": function})


@dataclass(frozen=True)
class Sigmoids:
    """Platt's calibration, one slope and offset a calibrator."""

    slopes: tuple[float, ...]
    offsets: tuple[float, ...]

    def __call__(self, values: Floats) -> Floats:
        """Return the calibrated values, shape (texts, calibrators)."""
        return sigmoid(-(np.array(self.slopes) * values + np.array(self.offsets)))


@dataclass(frozen=True)
class Isotonics:
    """Isotonic calibration: for each calibrator its thresholds, their values, and the range that values are clipped to."""

    steps: tuple[tuple[Sequence[float], Sequence[float], float, float], ...]

    def __call__(self, values: Floats) -> Floats:
        """Return the calibrated values, shape (texts, calibrators)."""
        columns = [np.interp(np.clip(v, low, high), x, y) for v, (x, y, low, high) in zip(values.T, self.steps, strict=True)]
        return np.stack(columns, axis=1)


@dataclass(frozen=True)
class Temperature:
    """Temperature scaling (Guo et al., 2017): softmax of the margins times one factor, which leaves their order as it is."""

    inverse: float

    def __call__(self, values: Floats) -> Floats:
        """Return the probabilities of all classes, shape (texts, classes), from their margins or, of two classes, that of the second."""
        margins = np.concatenate([-values, values], axis=1) if values.shape[1] == 1 else values
        return Softmax()(self.inverse * margins)


_CALIBRATIONS: Mapping[str, type[Any]] = {"sigmoids": Sigmoids, "isotonics": Isotonics, "temperature": Temperature}


@dataclass(frozen=True)
class Member:
    """One calibrated model of an ensemble.

    Attributes:
        head: The model.
        start: Its first score among all members'.
        classes: Number of classes of the whole.
        positions: The class of each calibrator.
        calibrate: From the model's values (texts, calibrators) to probabilities of the same shape,
            or of all classes at once.
    """

    head: Head
    start: int
    classes: int
    positions: tuple[int, ...]
    calibrate: Callable[[Floats], Floats]

    def probabilities(self, scores: Floats) -> Floats:
        """Return this member's probabilities, shape (texts, classes), from the scores of all members."""
        values = self._values(scores[:, self.start : self.start + self.head.scores])
        if isinstance(self.calibrate, Temperature):
            return self.calibrate(values)
        table = np.zeros((len(scores), self.classes))
        table[:, self.positions] = self.calibrate(values)
        if self.classes == TWO:
            table[:, 0] = 1.0 - table[:, 1]
        else:
            total = table.sum(axis=1, keepdims=True)
            table = np.where(total == 0.0, 1.0 / self.classes, table / np.where(total == 0.0, 1.0, total))
        table[(table > 1.0) & (table <= 1.0 + _ROUNDING)] = 1.0
        return table

    def _values(self, scores: Floats) -> Floats:
        """Return what the calibrators were fitted on: margins, or naive Bayes' probabilities."""
        if self.head.link is None or self.head.positive is not None:
            return scores
        rows = self.head.link(scores)
        return rows[:, 1:] if rows.shape[1] == TWO else rows

    def spec(self) -> dict[str, object]:
        """Return the member in JSON's types."""
        kind = next(name for name, calibration in _CALIBRATIONS.items() if isinstance(self.calibrate, calibration))
        return {**vars(self), "head": self.head.spec(), "calibrate": {"kind": kind, **vars(self.calibrate)}}

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Member:
        """Return the member of this specification."""
        calibrate = dict(spec["calibrate"])
        function = _CALIBRATIONS[calibrate.pop("kind")](**calibrate)
        return cls(head_from(spec["head"]), spec["start"], spec["classes"], tuple(spec["positions"]), function)


@dataclass(frozen=True)
class Average:
    """The mean of the members' probabilities."""

    members: tuple[Member, ...]

    def __call__(self, scores: Floats) -> Floats:
        """Return the probabilities."""
        total = self.members[0].probabilities(scores)
        for member in self.members[1:]:
            total = total + member.probabilities(scores)
        return total / len(self.members)

    def spec(self) -> dict[str, object]:
        """Return the link in JSON's types."""
        return {"kind": "average", "members": [member.spec() for member in self.members]}

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Average:
        """Return the link of this specification."""
        return cls(tuple(Member.of(member) for member in spec["members"]))
