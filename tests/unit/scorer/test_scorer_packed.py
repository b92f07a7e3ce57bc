"""A scorer that was written and read back answers bit for bit as before, and without scikit-learn."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.pipeline import Pipeline

from passerelle.errors import IntegrityError
from passerelle.scorer.compile.pipeline import compile_pipeline
from passerelle.scorer.compile.pipeline_label import pipeline_label
from passerelle.scorer.scorer import CompiledScorer
from passerelle.scorer.storage import INDEX, pack, unpack
from tests.unit.scorer.scorer_cases import CLASSIFIERS, FEATURES, HOSTILE, corpus, fitted, frozen


def nothing(_: object) -> Any:
    raise AssertionError("the pipeline was asked")


def hold_same(pipeline: Pipeline, folder: Path) -> CompiledScorer:
    scorer = compile_pipeline(pipeline)
    assert isinstance(scorer, CompiledScorer), scorer
    pack(scorer, folder)
    again = unpack(folder, pipeline_label=partial(pipeline_label, pipeline))
    assert again is not None
    records, _ = corpus(4)
    texts = [*records["text"][:40], *HOSTILE, "", "zzzz qqqq"]
    asked = [{"text": text, "title": text[::-1]} for text in texts]
    if any(section.signed or hasattr(section.terms, "signed") for section in scorer.sections):
        asked = [record for record in asked if not any("\ud800" <= character <= "\udfff" for character in record["text"])]
    assert np.array_equal(scorer.answers(asked)[1], again.answers(asked)[1])
    assert scorer.labels(asked) == again.labels(asked)
    assert (scorer.classes, scorer.columns, scorer.has_probabilities) == (again.classes, again.columns, again.has_probabilities)
    return again


@pytest.mark.parametrize("features", FEATURES)
def test_every_kind_of_features(features: str, tmp_path: Path) -> None:
    hold_same(fitted(features, "logistic"), tmp_path / "scorer")


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_every_kind_of_classifier(classifier: str, classes: int, tmp_path: Path) -> None:
    hold_same(fitted("demo", classifier, classes), tmp_path / "scorer")


def test_a_model_that_was_fitted_before_it_was_calibrated(tmp_path: Path) -> None:
    hold_same(frozen(), tmp_path / "scorer")


def test_another_format_is_not_read_and_a_broken_one_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "scorer"
    hold_same(fitted("demo", "logistic"), folder)
    index = folder / INDEX
    content = json.loads(index.read_text())
    index.write_text(json.dumps({**content, "format": 99}))
    assert unpack(folder, pipeline_label=nothing) is None
    broken: Any
    for broken in ({**content, "sections": content["sections"][:1]}, {**content, "head": {}}, {**content, "rows": []}, []):
        index.write_text(json.dumps(broken))
        with pytest.raises(IntegrityError, match="no readable compiled scorer"):
            unpack(folder, pipeline_label=nothing)
    index.write_text(json.dumps(content))
    table = (folder / "table.npy").read_bytes()
    for part in (table[:200], b""):
        (folder / "table.npy").write_bytes(part)
        with pytest.raises(IntegrityError, match="no readable compiled scorer"):
            unpack(folder, pipeline_label=nothing)
    (folder / "table.npy").write_bytes(table)
    (folder / "terms-0.json").write_text("[" * 100_000)
    with pytest.raises(IntegrityError, match="no readable compiled scorer"):
        unpack(folder, pipeline_label=nothing)
