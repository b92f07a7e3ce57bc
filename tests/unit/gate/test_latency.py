"""What an answer costs does not depend on who else uses the machine, and is asked of what answers in production."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline

from passerelle.criteria_file import read_criteria
from passerelle.gate import latency as stage
from passerelle.gate.latency import latency
from passerelle.registry.client import CandidateRun
from passerelle.scorer.compile.pipeline import compile_pipeline
from passerelle.scorer.scorer import CompiledScorer
from passerelle.stages.compare import ranked
from tests.unit.serving.models import text_pipeline, text_table

ROOT = Path(__file__).resolve().parents[3]
RECORDS = text_table()[0].head(6)


class Waiting(RandomForestClassifier):  # type: ignore[misc]
    """A model that waits for half a second and does nothing in that time, as every model does on a machine that others use."""

    def predict(self, table: Any) -> Any:
        time.sleep(0.5)
        return super().predict(table)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return text_pipeline()


def forest(kind: type[RandomForestClassifier] = RandomForestClassifier) -> Pipeline:
    """Return a pipeline that does not compile."""
    features = text_pipeline().steps[0]
    records, labels = text_table()
    return Pipeline([features, ("classifier", kind(n_estimators=2, random_state=0))]).fit(records, labels)


@pytest.mark.timing
def test_waiting_costs_nothing() -> None:
    assert latency(forest(Waiting), RECORDS.head(1), rounds=1).p95_ms < 400


def test_a_model_that_compiles_is_measured_by_its_scorer(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "pipeline_predict", None)
    assert latency(pipeline, RECORDS).p95_ms > 0


def test_one_that_does_not_is_measured_as_the_service_asks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def predictor(_: Any, columns: Any, *, flavor: str) -> Any:
        assert flavor == "sklearn"
        asked.append(columns)
        return asked.append

    monkeypatch.setattr(stage, "pipeline_predict", predictor)
    latency(forest(), RECORDS.head(2), rounds=1)
    first, second = ({"text": text} for text in RECORDS["text"].head(2))
    assert asked == [["text"], [first], [first], [second]]


def test_each_round_begins_with_a_scorer_that_has_seen_no_text(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer, seen = compile_pipeline(pipeline), []
    assert isinstance(scorer, CompiledScorer)
    answer, (source,) = scorer.answer, scorer._sources

    def watched(record: Any) -> Any:
        seen.append(len(source._young))
        return answer(record)

    monkeypatch.setattr(stage, "compile_pipeline", lambda _: scorer)
    monkeypatch.setattr(scorer, "answer", watched)
    latency(pipeline, RECORDS, rounds=2)
    first, *rest = seen[1:]
    assert (first, rest[len(RECORDS) - 1]) == (0, 0)
    assert max(rest) > 0


def test_another_clock_chooses_no_other_candidate() -> None:
    criteria = read_criteria(ROOT / "training" / "criteria.yaml")
    for slow in itertools.permutations([0.4, 3.0, 90.0]):
        runs = [
            # Without probabilities, so that nothing but the tie-breaks is left to decide.
            CandidateRun(name, name, {"cv_macro_f1": 0.5, "latency_p95_ms": slow_ms, "latency_p50_ms": slow_ms, "size_bytes": size}, {}, "")
            for name, slow_ms, size in zip("abc", slow, (3.0, 1.0, 2.0), strict=True)
        ]
        assert [run.name for run in ranked(runs, criteria)] == ["b", "c", "a"]


def test_what_compare_lets_through_is_not_refused_by_the_gate_for_a_little_more() -> None:
    criteria = read_criteria(ROOT / "training" / "criteria.yaml")
    assert criteria.held_out.maximum["latency_p95_ms"] >= 1.2 * criteria.maximum["latency_p95_ms"]
