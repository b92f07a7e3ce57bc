"""The candidates of training/, compiled, on all the public French text that is at hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import tests
from passerelle.training.candidate import Candidate
from tests.unit.scorer.scorer_cases import frame, largest_difference
from training.candidates import text_candidates

FILE = Path(tests.__file__).parent / "data" / "service_public_questions.csv"
CANDIDATES = [pytest.param(candidate, id=candidate.name) for candidate in text_candidates()]
#: Has the features of all the others: it answers every text, and they every eighth.
EVERY_TEXT = "mixed_lr"


@pytest.mark.parametrize("candidate", CANDIDATES)
def test_the_public_text(candidate: Candidate, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    questions = pd.read_csv(FILE, dtype=str, keep_default_na=False)
    texts = (questions["texte"] + " " + questions["description"]).astype(object)
    sample = questions.sample(300, random_state=0).index
    fit, labels = frame(texts[sample].tolist())[["text"]], questions["theme"][sample].tolist()
    ask = texts.tolist() if candidate.name == EVERY_TEXT else texts.tolist()[::8]
    difference = largest_difference(candidate, fit, labels, frame(ask)[["text"]], tmp_path / "scorer")
    record_property("figure", f"the compiled {candidate.name} on {len(ask)} public texts: largest difference {difference:.1e}")
    assert difference <= 1e-9
