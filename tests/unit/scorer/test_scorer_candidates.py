"""The candidates of training/ are compiled, and give the pipeline's answers; `tests/training/` asks about all the public text."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerelle.training.candidate import Candidate
from tests.unit.scorer.scorer_cases import corpus, frame, largest_difference
from training.candidates import text_candidates

CASES = [
    *((candidate, ("text",)) for candidate in text_candidates()),
    # The other candidates have no step that these lack.
    *((candidate, ("title", "text")) for candidate in text_candidates(("title", "text")) if candidate.name in {"mixed_svm", "mixed_cnb"}),
]
CANDIDATES = [pytest.param(candidate, columns, id=f"{candidate.name} of {' and '.join(columns)}") for candidate, columns in CASES]


@pytest.mark.parametrize(("candidate", "columns"), CANDIDATES)
def test_every_text_candidate_is_compiled_and_gives_the_same_answers(
    candidate: Candidate, columns: tuple[str, ...], tmp_path: Path
) -> None:
    records, labels = corpus(4)
    ask = [*records["title"], "", "…", "\ud800", "Ça ne marche PAS"]
    asked = frame(ask, ask[::-1])[list(columns)]
    difference = largest_difference(candidate, records[list(columns)], labels, asked, tmp_path / "scorer")
    assert difference <= 1e-9
