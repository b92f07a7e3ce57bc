"""Compile a fitted pipeline to a scorer, or say what prevents it."""

from __future__ import annotations

from functools import partial

from sklearn.pipeline import Pipeline

from passerelle.scorer.compile.calibrated import plane_of
from passerelle.scorer.compile.pipeline_label import pipeline_label
from passerelle.scorer.compile.refusal import NotCompilable, Refusal, named
from passerelle.scorer.compile.steps import Step, sections_of, steps_of
from passerelle.scorer.linear import LinearScores
from passerelle.scorer.scorer import CompiledScorer
from passerelle.scorer.sections import Section

_MOST_COLUMNS = 2**30 - 1


def compile_pipeline(pipeline: object, *, text_column: str | None = None) -> CompiledScorer | NotCompilable:
    """Return a scorer that gives the pipeline's own answers, or what prevents it.

    Args:
        pipeline: A fitted `sklearn.pipeline.Pipeline` that ends in a classifier.
        text_column: The record's field for a pipeline that starts with a bare vectorizer and so names no column.
    """
    if type(pipeline) is not Pipeline:
        return NotCompilable(named("", pipeline), "it is not a scikit-learn Pipeline")
    try:
        return _compile(pipeline, text_column)
    except Refusal as refusal:
        return refusal.verdict


def _compile(pipeline: Pipeline, text_column: str | None) -> CompiledScorer:
    steps = steps_of(pipeline)
    if not steps:
        raise Refusal(named("", pipeline), "it has no steps")
    sections, bare = _sections(steps[:-1], text_column)
    path, classifier = steps[-1]
    part = named(path, classifier)
    plane = plane_of(classifier, part)
    columns = sum(section.width for section in sections)
    if columns != plane.coefficients.shape[0] or columns > _MOST_COLUMNS:
        raise Refusal(part, f"{plane.coefficients.shape[0]} coefficients do not fit {columns} columns")
    rows = LinearScores.of(sections, plane.coefficients, plane.intercepts)
    return CompiledScorer(sections, rows, plane.head, pipeline_label=partial(pipeline_label, pipeline), bare=bare)


def _sections(transformers: list[Step], text_column: str | None) -> tuple[list[Section], bool]:
    """Return the sections and whether the pipeline takes bare texts rather than a table."""
    try:
        return sections_of(transformers, None), False
    except Refusal:
        if text_column is None:
            raise
        return sections_of(transformers, text_column), True
