"""The fitted classifier at the end of a pipeline, read into coefficients and a head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    PassiveAggressiveClassifier,
    Perceptron,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.svm import LinearSVC

from passerelle.scorer.compile.refusal import Refusal
from passerelle.scorer.head import Head
from passerelle.scorer.links import TWO, Each, Link, Softmax, Two
from passerelle.scorer.sections import Floats

Labels = NDArray[np.generic]
_LOGISTIC = (LogisticRegression, LogisticRegressionCV)
_MARGINS = (LinearSVC, RidgeClassifier, RidgeClassifierCV, PassiveAggressiveClassifier, Perceptron)
_BAYES = (ComplementNB, MultinomialNB)


class Plane(NamedTuple):
    """A classifier as a matrix and what becomes of its product with a text's features.

    Attributes:
        coefficients: Shape (columns, scores).
        intercepts: Shape (scores,).
    """

    coefficients: Floats
    intercepts: Floats
    head: Head


def linear_plane(classifier: ClassifierMixin, part: str) -> Plane:
    """Return the plane of a classifier whose scores are linear in the features.

    Raises:
        Refusal: It is of another type, not fitted, or computes in another precision.
    """
    if not hasattr(classifier, "classes_"):
        raise Refusal(part, "not fitted" if type(classifier) in _KNOWN else "this classifier is not compiled")
    classes = np.asarray(classifier.classes_)
    if classes.ndim != 1 or len(classes) < TWO:
        raise Refusal(part, "it does not choose one of several classes")
    if type(classifier) is OneVsRestClassifier:
        return _one_vs_rest(classifier, classes, part)
    if type(classifier) in _BAYES:
        return _bayes(classifier, classes, part)
    coefficients, intercepts = _plane(classifier, part)
    if coefficients.shape[1] not in {len(classes), 1} or (coefficients.shape[1] == 1) != (len(classes) == TWO):
        raise Refusal(part, f"{coefficients.shape[1]} scores for {len(classes)} classes")
    positive = _positive(classifier, part)
    if positive is None:
        link: Link | None = None
    elif len(classes) == TWO:
        link = Two(positive)
    elif type(classifier) in _LOGISTIC:
        link = Softmax()
    else:
        link = Each(positive, "uniform")
    return _plane_of(coefficients, intercepts, classes, link, positive)


def _plane_of(coefficients: Floats, intercepts: Floats, classes: Labels, link: Link | None, positive: str | None = None) -> Plane:
    return Plane(coefficients, intercepts, Head(tuple(classes.tolist()), len(intercepts), link, positive=positive))


def _positive(classifier: ClassifierMixin, part: str) -> str | None:
    """Return how a score becomes the probability of its class, or None where the classifier gives none."""
    if type(classifier) in _LOGISTIC:
        old = getattr(classifier, "multi_class", "deprecated") not in {"deprecated", "auto", "multinomial"}
        if old or (classifier.solver == "liblinear" and len(classifier.classes_) > TWO):
            raise Refusal(part, "one-versus-rest logistic regression of an older scikit-learn")
        return "sigmoid"
    if type(classifier) is SGDClassifier:
        return {"log_loss": "sigmoid", "modified_huber": "huber"}.get(classifier.loss)
    if type(classifier) in _MARGINS:
        return None
    raise Refusal(part, "this classifier is not compiled")


def _plane(classifier: ClassifierMixin, part: str) -> tuple[Floats, Floats]:
    """Return coefficients (columns, scores) and intercepts (scores,) of a fitted linear model."""
    if type(classifier) not in _KNOWN or not hasattr(classifier, "coef_"):
        raise Refusal(part, "this classifier is not compiled")
    coefficients = classifier.coef_
    if hasattr(coefficients, "toarray"):
        coefficients = coefficients.toarray()
    return checked(np.atleast_2d(coefficients).T, classifier.intercept_, part)


def checked(coefficients: Floats, intercepts: ArrayLike, part: str) -> tuple[Floats, Floats]:
    """Return these as (columns, scores) and (scores,).

    Raises:
        Refusal: They are of another precision or not finite.
    """
    intercepts = np.asarray(intercepts)
    for values in (coefficients, intercepts):
        if values.dtype != np.float64:
            raise Refusal(part, f"coefficients in {values.dtype} compute in another precision")
        if not np.isfinite(values).all():
            raise Refusal(part, "coefficients that are not finite")
    return coefficients, np.broadcast_to(intercepts, (coefficients.shape[1],))


def _bayes(classifier: ClassifierMixin, classes: Labels, part: str) -> Plane:
    table = classifier.feature_log_prob_
    prior = classifier.class_log_prior_ if type(classifier) is MultinomialNB else np.zeros(len(table))
    coefficients, intercepts = checked(table.T, prior, part)
    return _plane_of(coefficients, intercepts, classes, Softmax())


def _one_vs_rest(classifier: ClassifierMixin, classes: Labels, part: str) -> Plane:
    if classifier.multilabel_:
        raise Refusal(part, "it gives several labels to one text")
    members = classifier.estimators_
    planes = [_plane(member, f"{part}.estimators_[{i}]") for i, member in enumerate(members)]
    positives = {_positive(member, part) for member in members}
    if len(positives) > 1 or any(plane[0].shape[1] != 1 for plane in planes):
        raise Refusal(part, "its members are not alike")
    positive = positives.pop()
    link: Link | None = None
    if positive is not None:
        link = Two(positive) if len(members) == 1 else Each(positive, "zero")
    coefficients, intercepts = side_by_side(planes)
    return _plane_of(coefficients, intercepts, classes, link, positive)


def side_by_side(planes: Sequence[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """Return several (coefficients, intercepts) as one."""
    return np.concatenate([plane[0] for plane in planes], axis=1), np.concatenate([plane[1] for plane in planes])


_KNOWN = frozenset({*_LOGISTIC, *_MARGINS, *_BAYES, SGDClassifier, OneVsRestClassifier})
