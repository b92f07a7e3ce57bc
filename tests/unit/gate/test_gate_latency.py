"""The figures of the latency, from a clock that shows what the test says."""

from __future__ import annotations

import itertools
import time

import pytest
from sklearn.pipeline import Pipeline

from passerelle.gate.latency import latency
from tests.unit.serving.models import text_pipeline, text_table

RECORDS = text_table()[0].head(2)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return text_pipeline()


def shows(monkeypatch: pytest.MonkeyPatch, *rounds_s: list[float]) -> None:
    """Let the clock show, before and after each answer, that it took so long."""
    marks = iter([mark for taken in itertools.chain(*rounds_s) for mark in (0.0, taken)])
    monkeypatch.setattr(time, "process_time", lambda: next(marks))


def test_each_record_counts_with_its_best_round(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    # In one round the first record is disturbed, in another the second one.
    shows(monkeypatch, [9.0, 0.001], [0.002, 9.0], [0.003, 0.004])
    measured = latency(pipeline, RECORDS, rounds=3)
    assert measured.p50_ms == pytest.approx(1.5)
    assert measured.p95_ms == pytest.approx(1.95)


def test_there_are_three_rounds(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    shows(monkeypatch, [0.004, 0.004], [0.003, 0.003], [0.002, 0.002], [0.001, 0.001])
    assert latency(pipeline, RECORDS).p50_ms == pytest.approx(2.0)
