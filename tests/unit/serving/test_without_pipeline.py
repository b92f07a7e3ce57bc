"""Where scikit-learn is not installed, a compiled model answers, and one that is not compiled says what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from passerelle.errors import DigestError, IntegrityError, OutsideError
from passerelle.model import classifier
from passerelle.model.loaded import load_model
from passerelle.model.manifest import digest_of_manifest, manifest_of
from passerelle.names import MODEL_FOLDER, SCORER_FOLDER
from passerelle.scorer.compile.pipeline import compile_pipeline
from passerelle.scorer.scorer import CompiledScorer
from passerelle.scorer.storage import INDEX, is_packed, pack, unpack
from tests.unit.scorer.scorer_cases import corpus, on_text
from tests.unit.serving.models import text_bento_model, text_pipeline, text_table, write_bento_model


@pytest.fixture
def without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "pipelines_load_here", lambda _: False)


@pytest.fixture(scope="module")
def forest() -> Pipeline:
    texts, labels = text_table()
    pipeline = text_pipeline()
    return Pipeline([*pipeline.steps[:-1], ("classifier", RandomForestClassifier(5, random_state=0))]).fit(texts, labels)


def changed(folder: Path, name: str, content: bytes) -> None:
    """Change a file of the model, and the manifest with it."""
    (folder / MODEL_FOLDER / name).write_bytes(content)
    manifest = manifest_of(folder / MODEL_FOLDER, folder / "golden.json")
    lineage = json.loads((folder / "lineage.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "lineage.json").write_text(json.dumps(lineage | {"artifact_digest": digest_of_manifest(manifest)}))


def test_a_compiled_model_answers(tmp_path: Path, without_scikit_learn: None) -> None:
    folder = text_bento_model(tmp_path / "model")
    assert is_packed(folder / MODEL_FOLDER / SCORER_FOLDER)
    model = load_model(folder)
    assert model.scorer is not None
    assert [model.classes[row.label_index] for row in model.rows([{"text": "un grand merci"}])] == ["merci"]
    assert not model.pipeline.is_loaded


def test_a_pipeline_that_was_replaced_after_the_load_is_never_asked(tmp_path: Path) -> None:
    """It is loaded on first use, which may be days after its digest was checked."""
    folder = text_bento_model(tmp_path / "model")
    model = load_model(folder)
    assert isinstance(model.pipeline, classifier.FittedPipeline)
    before = [row.probabilities for row in model.rows([{"text": "un grand merci"}])]
    path = folder / MODEL_FOLDER / model.description.model_file
    whole = path.read_bytes()
    for content in (whole[:-1], b"", None):
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(DigestError, match="changed after the model was loaded"):
            model.pipeline()
        assert [row.probabilities for row in model.rows([{"text": "un grand merci"}])] == before
    path.write_bytes(whole)
    model.pipeline()


def test_one_that_is_not_compiled_says_what_is_missing(tmp_path: Path, forest: Pipeline, without_scikit_learn: None) -> None:
    folder = write_bento_model(tmp_path / "model", forest, text_table()[0])
    assert not is_packed(folder / MODEL_FOLDER / SCORER_FOLDER)
    with pytest.raises(OutsideError, match="scikit-learn is not installed") as raised:
        load_model(folder)
    assert "--with-pipeline" in str(raised.value.hint)


def test_a_scorer_of_another_format_is_no_scorer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = text_bento_model(tmp_path / "model")
    index = folder / MODEL_FOLDER / SCORER_FOLDER / INDEX
    changed(folder, f"{SCORER_FOLDER}/{INDEX}", json.dumps(json.loads(index.read_text()) | {"format": 99}).encode())
    assert not is_packed(index.parent)
    model = load_model(folder)
    assert model.scorer is not None
    assert model.pipeline.is_loaded, "compiled anew"
    monkeypatch.setattr(classifier, "pipelines_load_here", lambda _: False)
    with pytest.raises(OutsideError):
        load_model(folder)


def test_a_scorer_that_answers_otherwise_than_at_training_is_compiled_anew_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = text_bento_model(tmp_path / "model")
    path = folder / MODEL_FOLDER / SCORER_FOLDER / "intercepts.npy"
    np.save(path, np.load(path) + np.array([1.0, 0.0, 0.0]))
    changed(folder, f"{SCORER_FOLDER}/intercepts.npy", path.read_bytes())
    assert load_model(folder).golden_difference < 1e-9
    monkeypatch.setattr(classifier, "pipelines_load_here", lambda _: False)
    with pytest.raises(IntegrityError, match="golden prediction"):
        load_model(folder)


def test_the_greater_of_two_labels_within_rounding_is_the_answer(tmp_path: Path) -> None:
    records, labels = corpus(4)
    pipeline = Pipeline([*on_text(TfidfVectorizer()), ("classifier", LogisticRegression())]).fit(records, labels)
    classifier = pipeline.named_steps["classifier"]
    classifier.coef_[2] = classifier.coef_[1]
    classifier.intercept_[1:3] = 5.0, 5.0 + 1e-12
    scorer = compile_pipeline(pipeline)
    assert isinstance(scorer, CompiledScorer)
    pack(scorer, tmp_path / "scorer")
    alone = unpack(tmp_path / "scorer", pipeline_label=None)
    assert alone is not None
    asked = [{"text": text} for text in records["text"][:40]]
    indices, rows = alone.answers(asked)
    assert (rows[:, 2] - rows[:, 1] < 1e-9).all(), "they are within rounding"
    assert indices.tolist() == [2] * len(asked)
    assert [alone.answer(record).label_index for record in asked] == [2] * len(asked)
    assert alone.answer({"text": ""}).label_index == scorer.index_of_nothing, "what the pipeline said of it is in the file"
