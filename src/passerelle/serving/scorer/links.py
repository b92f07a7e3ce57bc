"""From scores to probabilities, each in the very steps that scikit-learn takes. Arrays of shape (texts, scores)."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from passerelle.serving.scorer.sections import Floats


def softmax(scores: Floats) -> Floats:
    """Return the probabilities of a multinomial logistic regression."""
    exp: Floats = np.exp(scores - scores.max(axis=1, keepdims=True))
    exp /= exp.sum(axis=1, keepdims=True)
    return exp


def bayes(scores: Floats) -> Floats:
    """Return the probabilities of naive Bayes, whose scores are joint log likelihoods."""
    return softmax(scores)


def sigmoid(scores: Floats) -> Floats:
    """Return the logistic function of each score."""
    probabilities: Floats = expit(scores)
    return probabilities


def huber(scores: Floats) -> Floats:
    """Return the probability that the modified Huber loss estimates from each score."""
    return (np.clip(scores, -1.0, 1.0) + 1.0) / 2.0


def pair(positive: Floats) -> Floats:
    """Return the probabilities of two classes from those of the second, shape (texts, 1)."""
    return np.concatenate([1.0 - positive, positive], axis=1)


def shares_or_uniform(each: Floats) -> Floats:
    """Return each class's share of the sum, the same for all where the sum is zero (LogisticRegression, SGDClassifier)."""
    total = each.sum(axis=1, keepdims=True)
    return np.where(total == 0.0, 1.0 / each.shape[1], each / np.where(total == 0.0, 1.0, total))


def shares_or_zero(each: Floats) -> Floats:
    """Return each class's share of the sum, zeros where the sum is zero (OneVsRestClassifier)."""
    total = each.sum(axis=1, keepdims=True)
    shares: Floats = each / np.where(total == 0.0, 1.0, total)
    return shares
