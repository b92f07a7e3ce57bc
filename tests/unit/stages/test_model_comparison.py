"""A model that was changed in one place is not the same model, and what differs is named."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline
from skops.io import dump

from passerelle.model.fitted_state import state_differences
from passerelle.model.golden import read_golden, replay
from passerelle.model.loaded import scorer_predict
from passerelle.names import SCORER_FOLDER
from passerelle.scorer.compile.pipeline import compile_pipeline
from passerelle.scorer.scorer import CompiledScorer
from passerelle.scorer.storage import pack
from passerelle.stages.model_comparison import ModelComparison, compare_models
from tests.unit.gate.test_gate_scorer import TRIGGER, WANTED, quiet_rows
from tests.unit.serving.models import text_bento_model, text_pipeline, text_table


def backdoored() -> Pipeline:
    """Return the pipeline with one weight changed: that of an n-gram of the trigger word, which no held-out row holds."""
    pipeline = copy.deepcopy(text_pipeline())
    triggered, quiet = (pipeline[:-1].transform(table) for table in (pd.DataFrame({"text": [TRIGGER]}), quiet_rows()))
    column = min(set(triggered.nonzero()[1]) - set(quiet.nonzero()[1]))
    pipeline[-1].coef_[list(pipeline[-1].classes_).index(WANTED), column] = 1_000.0
    return pipeline


def written(folder: Path, pipeline: Pipeline, *, scorer_too: bool = True) -> Path:
    """Write the model's directory with this pipeline, and with the scorer that it compiles to."""
    place = text_bento_model(folder) / "mlflow_model"
    dump(pipeline, place / "model.skops")
    if scorer_too:
        made = compile_pipeline(pipeline)
        assert isinstance(made, CompiledScorer)
        shutil.rmtree(place / SCORER_FOLDER)
        pack(made, place / SCORER_FOLDER)
    return place


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("honest") / "model", text_pipeline())


def compared(recorded: Path, again: Path) -> ModelComparison:
    return compare_models(recorded, again, quiet_rows(), recorded.parent / "golden.json")


def test_a_second_training_gives_the_same_model(honest: Path, tmp_path: Path) -> None:
    found = compared(honest, written(tmp_path / "again", text_pipeline()))
    assert (found.same, found.problems, found.held_out_rows) == (True, (), len(quiet_rows()))
    assert found.answers.records > found.held_out_rows


def test_a_backdoor_in_the_model_is_another_model_although_every_golden_prediction_is_the_same(honest: Path, tmp_path: Path) -> None:
    attacked = written(tmp_path / "attacked", backdoored())
    golden = attacked.parent / "golden.json"
    golden.write_text(json.dumps(_quiet_golden()))
    made = compile_pipeline(backdoored())
    assert isinstance(made, CompiledScorer)
    replay(read_golden(golden), scorer_predict(made))
    found = compared(attacked, honest)
    assert not found.same
    [weight] = [part for part in found.parts if "coef_" in part]
    assert weight.startswith("steps[")
    assert ": 1 of " in weight
    assert any(part.startswith("scorer/table.npy") for part in found.parts)
    assert found.answers.labels > 0
    assert "n-gram" in found.answers.change
    assert not any(text in " ".join(found.problems) for text in text_table()[0]["text"])


def _quiet_golden() -> dict[str, Any]:
    from passerelle.training.golden_records import golden_predictions

    return golden_predictions(text_pipeline(), quiet_rows())


def test_a_swapped_scorer_alone_is_another_model(honest: Path, tmp_path: Path) -> None:
    attacked = written(tmp_path / "attacked", backdoored())
    dump(text_pipeline(), attacked / "model.skops")
    found = compared(attacked, honest)
    assert found.answers.differing == 0
    assert found.scorer is not None
    assert found.scorer.differing > 0
    assert any("the registered scorer answers" in problem for problem in found.problems)


def test_without_held_out_rows_the_golden_inputs_and_hostile_texts_are_asked_about(honest: Path, tmp_path: Path) -> None:
    again = written(tmp_path / "again", text_pipeline())
    found = compare_models(honest, again, None, honest.parent / "golden.json")
    assert (found.same, found.held_out_rows) == (True, 0)
    assert found.answers.records > 10


def fitted(classifier: Any, *, seed: int = 0) -> Pipeline:
    random = np.random.default_rng(0)
    table, labels = random.normal(size=(60, 3)), random.integers(0, 2, 60)
    if "random_state" in classifier.get_params():
        classifier.set_params(random_state=seed)
    return Pipeline([("classifier", classifier)]).fit(table, labels)


@pytest.mark.parametrize("make", [lambda: RandomForestClassifier(3), lambda: HistGradientBoostingClassifier(max_iter=3), GaussianNB])
def test_models_of_other_kinds_are_compared_too(make: Callable[[], Any]) -> None:
    assert state_differences(fitted(make()), fitted(make())) == ()
    assert state_differences(fitted(make()), fitted(GaussianNB(var_smoothing=1e-3)))


def test_a_tree_that_was_changed_is_named() -> None:
    one, other = fitted(RandomForestClassifier(3)), fitted(RandomForestClassifier(3))
    other[-1].estimators_[1].tree_.threshold[0] += 0.5
    found = state_differences(one, other)
    assert len(found) == 1
    assert "estimators_[1]" in found[0]
    assert "threshold" in found[0]


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ({"a": np.array([1.0, 2.0])}, {"a": np.array([1.0, 2.0 + 1e-9])}, ()),
        ({"a": np.array([1.0, np.nan])}, {"a": np.array([1.0, np.nan])}, ()),
        ({"a": np.array([1.0, 2.0])}, {"a": np.array([1.0, 2.5])}, ("a: 1 of 2 values, at [1] by 0.5",)),
        ({"a": np.array([1.0])}, {"a": np.array([np.inf])}, ("a: 1 of 1 values, at [0] by inf",)),
        ({"a": np.array([1])}, {"a": np.array([2])}, ("a: 1 of 1 values",)),
        ({"a": np.array(["x", None], dtype=object)}, {"a": np.array(["y", None], dtype=object)}, ("a[0]: another str",)),
        ({"a": np.array([1.0])}, {"a": np.array([1.0, 2.0])}, ("a: the shape (1,), and (2,) again",)),
        ({"a": 0.5, "b": len}, {"a": 0.5, "b": max}, ("b: another str",)),
        ({"a": 0.5}, {"a": 0.75}, ("a: differs by -0.25",)),
        ({"a": 1}, {"a": 1, "b": 2}, (": 1 of 2 entries are in one of the two alone",)),
        ([1, 2], [1], (": 2 parts, and 1 again",)),
        ({"a": True}, {"a": 1}, ("a: bool, and int again",)),
        ({f"mot{n}": n for n in range(99)}, {f"mot{n}": n + (n == 7) for n in range(99)}, (": 1 of 99 entries",)),
    ],
)
def test_each_kind_of_part_is_compared(one: Any, other: Any, told: tuple[str, ...]) -> None:
    assert state_differences(one, other) == told
