"""CalibratedClassifierCV: one or several linear models, their scores calibrated class by class and averaged."""

from __future__ import annotations

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression

from passerelle.scorer.compile.classifiers import Plane, linear_plane, side_by_side
from passerelle.scorer.compile.refusal import Refusal, named
from passerelle.scorer.head import Average, Head, Isotonics, Member, Sigmoids, Temperature
from passerelle.scorer.links import TWO


def plane_of(classifier: ClassifierMixin, part: str) -> Plane:
    """Return the plane of this classifier, calibrated or not.

    Raises:
        Refusal: It has no exact counterpart.
    """
    if type(classifier) is FrozenEstimator:
        return plane_of(classifier.estimator, f"{part}.{named('estimator', classifier.estimator)}")
    if type(classifier) is not CalibratedClassifierCV:
        return linear_plane(classifier, part)
    if not hasattr(classifier, "calibrated_classifiers_"):
        raise Refusal(part, "not fitted")
    classes = np.asarray(classifier.classes_)
    members: list[Member] = []
    planes: list[Plane] = []
    start = 0
    for i, fitted in enumerate(classifier.calibrated_classifiers_):
        plane = plane_of(fitted.estimator, f"{part}.calibrated_classifiers_[{i}].{named('estimator', fitted.estimator)}")
        if plane.head.by_probability:
            raise Refusal(part, "a calibrated classifier inside another one")
        members.append(_member(fitted, plane.head, start, len(classes), part))
        planes.append(plane)
        start += plane.head.scores
    coefficients, intercepts = side_by_side([(plane.coefficients, plane.intercepts) for plane in planes])
    head = Head(tuple(classes.tolist()), len(intercepts), Average(tuple(members)), by_probability=True)
    return Plane(coefficients, intercepts, head)


def _member(fitted: ClassifierMixin, head: Head, start: int, classes: int, part: str) -> Member:
    """Return the member for a `_CalibratedClassifier`."""
    if fitted.method == "temperature":
        # scikit-learn numbers the classes for it, and takes the margins in their order.
        if head.link is not None or head.classes not in (tuple(range(classes)), tuple(fitted.classes.tolist())):
            raise Refusal(part, "a temperature is only compiled over margins")
        return Member(head, start, classes, tuple(range(classes)), Temperature(float(fitted.calibrators[0].beta_)))
    columns = np.searchsorted(fitted.classes, np.asarray(head.classes))
    # Of two classes there is one calibrator, for the second; scikit-learn pairs columns and calibrators in this order too.
    positions = tuple(int(column) + (classes == TWO) for column, _ in zip(columns, fitted.calibrators, strict=False))
    calibrators = fitted.calibrators
    if fitted.method == "sigmoid":
        sigmoids = Sigmoids(tuple(float(c.a_) for c in calibrators), tuple(float(c.b_) for c in calibrators))
        return Member(head, start, classes, positions, sigmoids)
    if fitted.method == "isotonic" and all(type(c) is IsotonicRegression and c.out_of_bounds == "clip" for c in calibrators):
        steps = tuple((c.X_thresholds_.tolist(), c.y_thresholds_.tolist(), float(c.X_min_), float(c.X_max_)) for c in calibrators)
        return Member(head, start, classes, positions, Isotonics(steps))
    raise Refusal(part, f"calibration by {fitted.method} is not compiled")
