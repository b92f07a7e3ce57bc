"""The candidates of training/, and all the public French text that is at hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io

import tests
from passerelle.scorer.compile.pipeline import compile_pipeline
from passerelle.scorer.scorer import CompiledScorer
from passerelle.scorer.storage import pack, unpack
from passerelle.training.candidate import Candidate
from tests.unit.scorer.scorer_cases import corpus, frame
from training.candidates import text_candidates

FILE = Path(tests.__file__).parent / "data" / "service_public_questions.csv"
CANDIDATES = [pytest.param(candidate, id=candidate.name) for candidate in text_candidates()]


def largest_difference(candidate: Candidate, fit: pd.DataFrame, labels: list[str], ask: list[str], folder: Path) -> float:
    """Fit, save and load as the service does, and return the largest difference; labels must be the same, with a pipeline and without."""
    candidate.pipeline.fit(fit[["text"]], labels)
    pipeline = skops.io.loads(skops.io.dumps(candidate.pipeline), trusted=list(candidate.trusted_types))
    scorer = compile_pipeline(pipeline)
    assert isinstance(scorer, CompiledScorer), scorer
    asked = [{"text": text} for text in ask]
    matrix, classifier = pipeline[:-1].transform(frame(ask)[["text"]]), pipeline[-1]
    expected = classifier.predict(matrix).tolist()
    assert scorer.labels(asked) == expected
    pack(scorer, folder)
    alone = unpack(folder, pipeline_label=None)
    assert alone is not None
    assert alone.labels(asked) == expected
    return float(np.abs(scorer.answers(asked)[1] - classifier.predict_proba(matrix)).max())


@pytest.mark.parametrize("candidate", CANDIDATES)
def test_every_text_candidate_is_compiled_and_gives_the_same_answers(candidate: Candidate, tmp_path: Path) -> None:
    records, labels = corpus(4)
    ask = [*records["title"], "", "…", "\ud800", "Ça ne marche PAS"]
    difference = largest_difference(candidate, records, labels, ask, tmp_path / "scorer")
    assert difference <= 1e-9


@pytest.mark.parametrize("candidate", CANDIDATES)
def test_all_the_public_text(candidate: Candidate, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    questions = pd.read_csv(FILE, dtype=str, keep_default_na=False)
    texts = (questions["texte"] + " " + questions["description"]).astype(object)
    sample = questions.sample(600, random_state=0).index
    fit, labels = frame(texts[sample].tolist()), questions["theme"][sample].tolist()
    difference = largest_difference(candidate, fit, labels, texts.tolist(), tmp_path / "scorer")
    record_property("figure", f"the compiled {candidate.name} on {len(texts)} public texts: largest difference {difference:.1e}")
    assert difference <= 1e-9
