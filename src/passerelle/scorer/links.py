"""From scores to probabilities, each with the same operations as scikit-learn. Arrays of shape (texts, scores).

A link can be written as a specification (`spec`) and made from it (`simple_link_of`), so that a scorer needs no scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from passerelle.scorer.sections import Floats

TWO = 2


class Link(Protocol):
    """From scores, shape (texts, scores), to probabilities, shape (texts, classes)."""

    def __call__(self, scores: Floats) -> Floats:
        """Return the probabilities."""

    def spec(self) -> dict[str, object]:
        """Return the specification from which `simple_link_of` makes the same link, in JSON types."""


@dataclass(frozen=True)
class Softmax:
    """The probabilities of a multinomial logistic regression, or of naive Bayes, whose scores are joint log likelihoods."""

    def __call__(self, scores: Floats) -> Floats:
        """Return the probabilities."""
        exp: Floats = np.exp(scores - scores.max(axis=1, keepdims=True))
        exp /= exp.sum(axis=1, keepdims=True)
        return exp

    def spec(self) -> dict[str, object]:
        """Return the link in JSON's types."""
        return {"kind": "softmax"}


@dataclass(frozen=True)
class Two:
    """The probabilities of two classes from the one score of the second.

    Attributes:
        positive: `sigmoid` or `huber`.
    """

    positive: str

    def __call__(self, scores: Floats) -> Floats:
        """Return the probabilities."""
        second = POSITIVES[self.positive](scores)
        return np.concatenate([1.0 - second, second], axis=1)

    def spec(self) -> dict[str, object]:
        """Return the link in JSON's types."""
        return {"kind": "two", "positive": self.positive}


@dataclass(frozen=True)
class Each:
    """Each class's own probability, divided by their sum.

    Attributes:
        positive: `sigmoid` or `huber`.
        of_none: Of all classes if the sum is zero: `uniform` (LogisticRegression, SGDClassifier) or `zero` (OneVsRestClassifier).
    """

    positive: str
    of_none: str

    def __call__(self, scores: Floats) -> Floats:
        """Return the probabilities."""
        each = POSITIVES[self.positive](scores)
        total = each.sum(axis=1, keepdims=True)
        shares: Floats = each / np.where(total == 0.0, 1.0, total)
        return np.where(total == 0.0, 1.0 / each.shape[1], shares) if self.of_none == "uniform" else shares

    def spec(self) -> dict[str, object]:
        """Return the link in JSON's types."""
        return {"kind": "each", "positive": self.positive, "of_none": self.of_none}


def sigmoid(scores: Floats) -> Floats:
    """Return the logistic function of each score; of large ones too, without overflow."""
    small = np.exp(-np.abs(scores))
    probabilities: Floats = np.where(scores >= 0, 1.0, small) / (1.0 + small)
    return probabilities


def huber(scores: Floats) -> Floats:
    """Return the probability that the modified Huber loss estimates from each score."""
    return (np.clip(scores, -1.0, 1.0) + 1.0) / 2.0


POSITIVES: Mapping[str, Callable[[Floats], Floats]] = {"sigmoid": sigmoid, "huber": huber}


def simple_link_of(spec: Mapping[str, Any]) -> Link:
    """Return the link of this specification.

    Raises:
        KeyError: It is none of these.
    """
    fields = {name: value for name, value in spec.items() if name != "kind"}
    link: Link = {"softmax": Softmax, "two": Two, "each": Each}[spec["kind"]](**fields)
    return link
