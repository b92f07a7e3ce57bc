"""The cases that every test of the scorer goes through hold each type of step and classifier that is compiled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import FeatureUnion, Pipeline

from passerelle.scorer.compile.classifiers import _KNOWN
from passerelle.scorer.compile.steps import _LATER, _VECTORIZERS
from tests.unit.scorer.scorer_cases import CLASSIFIERS, FEATURES, frozen


def parts(step: Any) -> Iterator[type]:
    """Yield the type of a step and of all steps in it."""
    yield type(step)
    inner = [entry[1] for name in ("steps", "transformers", "transformer_list") for entry in getattr(step, name, None) or ()]
    for each in [*inner, getattr(step, "estimator", None)]:
        if each is not None and not isinstance(each, str):
            yield from parts(each)


def test_each_type_that_is_compiled_is_among_the_cases() -> None:
    cases = [Pipeline(make()) for make in FEATURES.values()] + [make() for make in CLASSIFIERS.values()] + [frozen()]
    found = {kind for case in cases for kind in parts(case)}
    compiled = {*_VECTORIZERS, *_LATER, *_KNOWN, CalibratedClassifierCV, FrozenEstimator, ColumnTransformer, FeatureUnion, Pipeline}
    assert found == compiled
