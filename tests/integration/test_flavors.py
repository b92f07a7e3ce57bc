"""Each flavor's reader answers as MLflow's pyfunc does on the same model, and with more where pyfunc gives less."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from passerelle.model.golden import same_value
from passerelle.model.host import start
from passerelle.model.hosted import HostedModel
from tests.adopted_models import write_adoption
from tests.flavor_environment import ROOT, flavor_python, is_complete
from tests.flavor_models import EXPECTED
from tests.saved_models import saved_models
from tests.text_environment import text_python

pytestmark = [pytest.mark.integration, pytest.mark.flavors]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the script left its models and answers."""
    if not is_complete(flavor_python()):
        pytest.skip("the environment of the flavors is missing: .venv/bin/python -m tests.flavor_environment")
    folder = tmp_path_factory.mktemp("flavors")
    command = [str(flavor_python()), "-I", str(ROOT / "tests" / "flavor_models.py"), str(Path(start.__file__)), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, cwd=folder, env={"HOME": str(folder)})
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def answers(folder: Path) -> dict[str, dict[str, Any]]:
    """The answers by the names of the models."""
    found = json.loads((folder / "answers.json").read_text())
    return {each["name"]: each for each in found}


def test_every_model_is_there(answers: dict[str, dict[str, Any]]) -> None:
    assert set(answers) == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_reader_answers_as_pyfunc(name: str, answers: dict[str, dict[str, Any]]) -> None:
    answer = answers[name]
    assert "values" in answer, answer
    task, labels, like = EXPECTED[name]
    classes = labels or []
    assert (answer["task"], answer["classes"]) == (task, labels)
    values, function = answer["values"], answer["pyfunc"]
    if like == "labels":
        assert values == [each[0] if isinstance(each, list) else each for each in function]
    elif like == "probabilities":
        probabilities = np.array(answer["probabilities"])
        assert np.allclose(probabilities[:, 1] if np.ndim(function) == 1 else probabilities, function, rtol=1e-6)
        assert values == [classes[place] for place in probabilities.argmax(axis=1)]
    elif like == "indicator":
        assert values == [[label for label, given in zip(classes, row, strict=True) if given] for row in function]
    elif like == "numbers":
        rows = [list(each.values()) if isinstance(each, dict) else [each] for each in values]
        assert np.allclose(np.array(rows).reshape(len(rows), -1), np.array(function).reshape(len(rows), -1), rtol=1e-6)
    for value, alone in zip(values, answer["alone"], strict=False):
        assert same_value(value, alone["values"][0]), "a record gets the same answer alone as among others"


def test_the_process_answers_as_the_reader(folder: Path, answers: dict[str, dict[str, Any]]) -> None:
    model = folder / "lightgbm_cases-3"
    (folder / "adopted").mkdir()
    model.rename(folder / "adopted" / "mlflow_model")
    inputs = [{"name": name, "type": kind} for name, kind in (("a", "double"), ("b", "double"), ("n", "long"))]
    adoption = write_adoption(folder / "adopted", inputs=inputs)  # a skops file of LightGBM's own classes
    hosted = HostedModel(folder / "adopted", adoption, python=flavor_python())
    try:
        outputs = hosted.predict([{"a": 1.0, "b": 1.0, "n": 1}, {"a": -1.0, "b": None, "n": 2}])
        assert (outputs.values, adoption.pickled, hosted.classes) == (["yes", "no"], False, ("no", "yes"))
        assert hosted.rows([{"a": 1.0, "b": 1.0, "n": 1}])[0].probabilities == outputs.probabilities[0]  # type: ignore[index]
    finally:
        hosted.close()


def test_models_of_texts_answer_as_pyfunc(tmp_path: Path) -> None:
    if not is_complete(text_python()):
        pytest.skip("the environment of texts is missing: .venv/bin/python -m tests.text_environment")
    models = saved_models(text_python(), "text_models.py")
    command = [str(text_python()), "-I", str(ROOT / "tests" / "text_models.py"), "--answers", str(models), str(Path(start.__file__))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, cwd=tmp_path, env={"HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    answers = json.loads((tmp_path / "answers.json").read_text())
    embeddings = answers.pop("sentence_transformers")
    assert embeddings["way"] == "rows"
    for first, value, seen in zip(embeddings["first"]["values"], embeddings["values"], embeddings["pyfunc"], strict=True):
        assert same_value(first, value, vectors=True), "encoded together with texts of as many tokens, a text gets the same answer"
        assert same_value(dict(zip(value, seen, strict=True)), value, vectors=True, tolerance=1e-5), "pyfunc pads shorter texts"
    for task, answer in zip(("classification", "multilabel"), answers.values(), strict=True):
        assert (answer["task"], answer["way"]) == (task, "rows")
        assert answer["probabilities"] == answer["first"]["probabilities"]
        labels = [answer["classes"][row.index(max(row))] for row in answer["probabilities"]]
        assert [{"label": label, "score": max(row)} for label, row in zip(labels, answer["probabilities"], strict=True)] == answer["pyfunc"]
