"""The candidates of training/ are compiled, and give the pipeline's answers; `tests/training/` asks about all the public text."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerelle.training.candidate import Candidate
from tests.unit.scorer.scorer_cases import corpus, largest_difference
from training.candidates import text_candidates

CANDIDATES = [pytest.param(candidate, id=candidate.name) for candidate in text_candidates()]


@pytest.mark.parametrize("candidate", CANDIDATES)
def test_every_text_candidate_is_compiled_and_gives_the_same_answers(candidate: Candidate, tmp_path: Path) -> None:
    records, labels = corpus(4)
    ask = [*records["title"], "", "…", "\ud800", "Ça ne marche PAS"]
    difference = largest_difference(candidate, records, labels, ask, tmp_path / "scorer")
    assert difference <= 1e-9
