"""The walk over a fitted pipeline's transformers, each turned into sections or refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, Normalizer, StandardScaler

from passerelle.scorer.compile.refusal import Refusal, named
from passerelle.scorer.compile.transforms import binarize, join, multiply, normalize, take_log
from passerelle.scorer.compile.vectorizers import analyzer_of
from passerelle.scorer.sections import Hashing, Section, Vocabulary

#: A step of a pipeline by its path.
Step = tuple[str, BaseEstimator]


def steps_of(pipeline: Pipeline) -> list[Step]:
    """Return the pipeline's steps as (path, step), nested pipelines spread out and empty steps left out."""
    steps: list[Step] = []
    for name, step in pipeline.steps:
        if step is None or (isinstance(step, str) and step == "passthrough"):
            continue
        if type(step) is Pipeline:
            steps.extend((f"{name}.{inner}", nested) for inner, nested in steps_of(step))
        else:
            steps.append((name, step))
    return steps


def sections_of(steps: list[Step], column: str | None) -> list[Section]:
    """Return the sections that these transformers, one after another, make of a record.

    Args:
        steps: (path, fitted transformer), the first of which takes text.
        column: The record's field that the first one reads, or None where it selects its own.

    Raises:
        Refusal: A step has no exact counterpart.
    """
    if not steps:
        raise Refusal(named("", Pipeline([])), "no step turns text into numbers")
    (path, first), *others = steps
    sections = _first(path, first, column)
    for path, step in others:
        apply = _LATER.get(type(step))
        if apply is None:
            raise Refusal(named(path, step), "this step is not compiled")
        apply(sections, step, named(path, step))
    return sections


def _first(path: str, step: BaseEstimator, column: str | None) -> list[Section]:
    part = named(path, step)
    if type(step) is ColumnTransformer:
        return _column_transformer(path, step)
    if type(step) is FeatureUnion:
        return _feature_union(path, step, column)
    if type(step) is Pipeline:
        return sections_of([(f"{path}.{inner}", nested) for inner, nested in steps_of(step)], column)
    make = _VECTORIZERS.get(type(step))
    if make is None:
        raise Refusal(part, "this step is not compiled")
    if column is None:
        raise Refusal(part, "no column is selected by name: put the vectorizer in a ColumnTransformer")
    return [make(step, column, part)]


def _column_transformer(path: str, step: ColumnTransformer) -> list[Section]:
    part = named(path, step)
    if not hasattr(step, "transformers_"):
        raise Refusal(part, "not fitted")
    groups = []
    for name, transformer, selection in step.transformers_:
        inner = f"{path}.{name}"
        if (isinstance(transformer, str) and transformer == "drop") or len(selection) == 0:
            continue
        # A fitted ColumnTransformer holds a function that does nothing in the place of "passthrough".
        if isinstance(transformer, str) or (type(transformer) is FunctionTransformer and transformer.func is None):
            raise Refusal(part, f"{name}: columns {selection!r} pass through as they are")
        if type(transformer) is not ColumnTransformer and not isinstance(selection, str):
            takes_text = type(transformer) in {FeatureUnion, Pipeline, *_VECTORIZERS}
            raise Refusal(
                named(inner, transformer), "its column is not selected by one name" if takes_text else "only what reads a text is compiled"
            )
        groups.append(_first(inner, transformer, selection))
        _weigh(groups[-1], step.transformer_weights, name, part)
    return join(groups, part)


def _feature_union(path: str, step: FeatureUnion, column: str | None) -> list[Section]:
    groups = []
    for name, transformer in step.transformer_list:
        if isinstance(transformer, str) and transformer == "drop":
            continue
        groups.append(_first(f"{path}.{name}", transformer, column))
        _weigh(groups[-1], step.transformer_weights, name, named(path, step))
    return join(groups, named(path, step))


def _weigh(sections: list[Section], weights: Mapping[str, float] | None, name: str, part: str) -> None:
    weight = (weights or {}).get(name)
    if weight is not None:
        multiply(sections, float(weight), part)


def _counting(step: BaseEstimator, column: str, part: str, dtypes: tuple[object, ...]) -> Section:
    if step.dtype not in dtypes:
        raise Refusal(part, f"dtype={np.dtype(step.dtype).name} computes in another precision")
    vocabulary = getattr(step, "vocabulary_", None)
    if not vocabulary:
        raise Refusal(part, "not fitted")
    # Loaded models hold the dict as training made it; its memory is shared where its values are plain ints.
    if not all(type(index) is int for index in vocabulary.values()):
        vocabulary = {term: int(index) for term, index in vocabulary.items()}
    if min(vocabulary.values()) < 0 or max(vocabulary.values()) >= len(vocabulary):
        raise Refusal(part, "the vocabulary's columns are not numbered from 0")
    section = Section(column, analyzer_of(step, part), Vocabulary(vocabulary, len(vocabulary)))
    if step.binary:
        binarize(section)
    return section


def _count(step: BaseEstimator, column: str, part: str) -> Section:
    return _counting(step, column, part, (np.int64, np.float64, int, float, np.dtype("int64"), np.dtype("float64")))


def _tfidf_vectorizer(step: BaseEstimator, column: str, part: str) -> Section:
    section = _counting(step, column, part, (np.float64, float, np.dtype("float64")))
    _tfidf([section], step._tfidf, part)
    return section


def _hash(step: BaseEstimator, column: str, part: str) -> Section:
    if np.dtype(step.dtype) != np.float64:
        raise Refusal(part, f"dtype={np.dtype(step.dtype).name} computes in another precision")
    section = Section(column, analyzer_of(step, part), Hashing(int(step.n_features), bool(step.alternate_sign)))
    if step.binary:
        binarize(section)
    normalize([section], step.norm, part)
    return section


def _tfidf(sections: list[Section], step: BaseEstimator, part: str) -> None:
    if step.sublinear_tf:
        take_log(sections, part)
    if hasattr(step, "idf_"):
        if step.idf_.dtype != np.float64:
            raise Refusal(part, f"idf in {step.idf_.dtype}")
        multiply(sections, step.idf_, part)
    elif step.use_idf:
        raise Refusal(part, "not fitted")
    normalize(sections, step.norm, part)


def _max_abs(sections: list[Section], step: BaseEstimator, part: str) -> None:
    if getattr(step, "clip", False):
        raise Refusal(part, "clip=True cuts values off")
    multiply(sections, 1.0 / step.scale_, part)


def _standard(sections: list[Section], step: BaseEstimator, part: str) -> None:
    if step.with_mean:
        raise Refusal(part, "with_mean=True shifts every column")
    if step.with_std:
        multiply(sections, 1.0 / step.scale_, part)


def _normalizer(sections: list[Section], step: BaseEstimator, part: str) -> None:
    normalize(sections, step.norm, part)


_VECTORIZERS: dict[type, Callable[[BaseEstimator, str, str], Section]] = {
    CountVectorizer: _count,
    TfidfVectorizer: _tfidf_vectorizer,
    HashingVectorizer: _hash,
}
_LATER: dict[type, Callable[[list[Section], BaseEstimator, str], None]] = {
    TfidfTransformer: _tfidf,
    MaxAbsScaler: _max_abs,
    StandardScaler: _standard,
    Normalizer: _normalizer,
}
