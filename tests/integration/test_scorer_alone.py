"""In an environment made of requirements/scorer.txt alone, a scorer of every kind loads and answers as the pipeline does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from passerelle.scorer.compile.pipeline import compile_pipeline
from passerelle.scorer.links import POSITIVES
from passerelle.scorer.scorer import NEAR_TIE, CompiledScorer
from passerelle.scorer.storage import pack
from tests.scorer_fixtures import ROOT, run
from tests.service_fixtures import serve, write_store
from tests.unit.scorer.scorer_cases import CLASSIFIERS, FEATURES, HOSTILE, corpus, fitted, frame, frozen, on_text
from tests.unit.serving.models import text_table

pytestmark = pytest.mark.integration

ALONE = """
import json, sys
from pathlib import Path
from passerelle.scorer.storage import unpack
folder = Path(sys.argv[1])
asked = json.loads((folder / "asked.json").read_text())
said = {}
for name, place in json.loads((folder / "names.json").read_text()).items():
    scorer = unpack(folder / place, pipeline_label=None)
    indices, rows = scorer.answers(asked)
    assert [scorer.answer(record).label_index for record in asked] == indices.tolist(), name
    said[name] = [list(scorer.classes), indices.tolist(), rows.tolist()]
print(json.dumps(said))
"""


def pipelines() -> Iterator[tuple[str, Pipeline]]:
    """Yield a pipeline for each kind of step, classifier, calibration and link."""
    for features in FEATURES:
        yield features, fitted(features, "logistic")
    for classifier in CLASSIFIERS:
        for classes in (2, 4):
            yield f"{classifier}, {classes} classes", fitted("words", classifier, classes)
    yield "frozen", frozen()


def kinds(spec: Any) -> Iterator[str]:
    """Yield the names of links and calibrations in what a head is written down as."""
    if isinstance(spec, dict):
        yield from (str(spec[name]) for name in ("kind", "positive", "of_none") if spec.get(name))
        spec = list(spec.values())
    if isinstance(spec, list | tuple):
        for each in spec:
            yield from kinds(each)


def expected(pipeline: Pipeline, table: Any) -> np.ndarray[Any, Any]:
    if hasattr(pipeline, "predict_proba"):
        return np.asarray(pipeline.predict_proba(table))
    scores = np.asarray(pipeline.decision_function(table))
    return np.stack([-scores, scores], axis=1) if scores.ndim == 1 else scores


def test_a_scorer_of_every_kind_loads_and_answers(scorer_python: Path, tmp_path: Path) -> None:
    records, _ = corpus(4)
    texts = [*records["text"][:12], "", "zzzz", *(text for text in HOSTILE if not any("\ud800" <= c <= "\udfff" for c in text))]
    table = frame(texts)
    (tmp_path / "asked.json").write_text(json.dumps([{"text": text, "title": text} for text in texts]))
    written: dict[str, tuple[Pipeline, str]] = {}
    seen: set[str] = set()
    for number, (name, pipeline) in enumerate(pipelines()):
        scorer = compile_pipeline(pipeline)
        assert isinstance(scorer, CompiledScorer), (name, scorer)
        pack(scorer, tmp_path / str(number))
        written[name] = pipeline, str(number)
        seen |= {*kinds(scorer.head.spec()), *scorer.linear.shapes}
    assert seen == {
        "softmax",
        "two",
        "each",
        "average",
        "sigmoids",
        "isotonics",
        "temperature",
        "uniform",
        "zero",
        "count",
        "binary",
        "sublinear",
        *POSITIVES,
    }
    (tmp_path / "names.json").write_text(json.dumps({name: place for name, (_, place) in written.items()}))
    said = json.loads(run([str(scorer_python), "-c", ALONE, str(tmp_path)], PYTHONPATH=str(ROOT / "src")))
    for name, (pipeline, _) in written.items():
        classes, indices, rows = said[name]
        want, labels = expected(pipeline, table), pipeline.predict(table).tolist()
        assert np.abs(want - np.array(rows)).max() <= 1e-9, name
        for index, label, row in zip(indices, labels, want, strict=True):
            best = row.max()
            near = np.count_nonzero(row >= best - NEAR_TIE * (1 + abs(best))) > 1
            assert near or classes[index] == label, name


def test_the_service_itself_answers_with_a_hashing_vectorizer(scorer_python: Path, tmp_path: Path) -> None:
    records, labels = text_table()
    steps = on_text(HashingVectorizer(n_features=256, ngram_range=(1, 2)), HashingVectorizer(analyzer="char_wb", n_features=512))
    pipeline = Pipeline([*steps, ("classifier", LogisticRegression(C=10))]).fit(records, labels)
    home = write_store(tmp_path / "bentoml", pipeline=pipeline)
    with serve(home, python=str(scorer_python)) as running:
        answer = requests.post(f"{running.address}/classify", json={"text": "un grand merci"}, timeout=10)
        card = requests.get(f"{running.address}/model", timeout=10).json()
    answer.raise_for_status()
    want = pipeline.predict_proba(frame(["un grand merci"])[["text"]])[0].max()
    assert answer.json()["label"] == "merci"
    assert abs(answer.json()["probability"] - want) < 1e-9
    assert card["compiled"] is True
