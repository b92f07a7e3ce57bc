"""What the gate says that loading a model costs: measured in a process of its own, on what answers in production."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from passerelle.errors import OutsideError
from passerelle.gate.latency import what_answers
from passerelle.gate.loading_cost import loading_memory_mib
from passerelle.names import MODEL_FOLDER
from passerelle.scorer.compile.refusal import NotCompilable
from passerelle.scorer.scorer import CompiledScorer
from tests.unit.serving.models import text_bento_model, text_pipeline

pytestmark = pytest.mark.integration
#: That the interpreter and numpy hold at least.
LEAST_MIB = 20


def test_the_memory_is_that_of_what_answers_and_never_nothing(tmp_path: Path) -> None:
    folder, record = text_bento_model(tmp_path / "model"), {"text": "la rue est sale"}
    pipeline, golden = text_pipeline(), folder / "golden.json"
    scorer = what_answers(pipeline, golden)
    assert isinstance(scorer, CompiledScorer)
    of_scorer = loading_memory_mib(folder / MODEL_FOLDER, scorer, record)
    of_pipeline = loading_memory_mib(folder / MODEL_FOLDER, None, record)
    assert LEAST_MIB < of_scorer < of_pipeline, "the pipeline needs scikit-learn"
    assert loading_memory_mib(folder / MODEL_FOLDER, scorer, record) == of_scorer, "measured once for the same files"
    # A scorer that does not reproduce the golden predictions does not answer in production.
    other = json.loads(golden.read_text())
    golden.write_text(json.dumps(other | {"labels": other["labels"][::-1], "probabilities": None}))
    assert isinstance(what_answers(pipeline, golden), NotCompilable)


def test_a_process_that_fails_is_told_without_the_record(tmp_path: Path) -> None:
    with pytest.raises(OutsideError, match="the process that measures the memory of the model failed: ") as failed:
        loading_memory_mib(tmp_path, None, {"text": "Madame Dupont"})
    assert "Dupont" not in str(failed.value)
