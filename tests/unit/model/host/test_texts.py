"""Models of texts: what a pipeline of transformers and an encoder answer, in the shape of every other model."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from passerelle.model.host.outputs import OutputNames
from passerelle.model.host.read_sentences import Embeddings
from passerelle.model.host.read_transformers import TextClassifier

TABLE = pd.DataFrame({"text": ["a", "b"]})


class Pipeline:
    """Gives the scores, the most probable first, as transformers does; keeps what it was asked."""

    def __init__(self, scores: list[list[float]], problem: str | None = None) -> None:
        self.scores = scores
        self.asked: dict[str, Any] = {}
        names = dict(enumerate(["bad", "good", "other"][: len(scores[0])]))
        self.model = SimpleNamespace(config=SimpleNamespace(id2label=names, num_labels=len(names), problem_type=problem))

    def __call__(self, texts: list[Any], **options: Any) -> list[list[dict[str, Any]]]:
        self.asked = {"texts": texts, **options}
        named = [[{"label": self.model.config.id2label[place], "score": score} for place, score in enumerate(row)] for row in self.scores]
        return [sorted(row, key=lambda each: -each["score"]) for row in named]


def test_the_probabilities_are_in_the_order_of_the_models_labels() -> None:
    pipeline = Pipeline([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3]])
    model = TextClassifier(pipeline, {"truncation": True})
    assert (model.task, model.classes) == ("classification", ["bad", "good", "other"])
    assert model.predict(TABLE, {"max_length": 9}) == (["good", "bad"], pipeline.scores)
    assert pipeline.asked == {"texts": ["a", "b"], "top_k": None, "truncation": True, "max_length": 9}


def test_several_labels_a_text_and_one_number_a_text() -> None:
    several = TextClassifier(Pipeline([[0.9, 0.1, 0.6], [0.2, 0.3, 0.4]], "multi_label_classification"), {})
    assert several.task == "multilabel"
    assert several.predict(["a", "b"], {})[0] == [["bad", "other"], []]
    number = TextClassifier(Pipeline([[0.9], [0.2]]), {})
    assert (number.task, number.classes, number.predict(TABLE, {})) == ("regression", None, ([0.9, 0.2], None))


def test_a_text_and_its_pair_are_given_together_and_other_columns_refused() -> None:
    pipeline = Pipeline([[0.9, 0.1]])
    TextClassifier(pipeline, {}).predict(pd.DataFrame({"text": ["a"], "text_pair": ["b"]}), {})
    assert pipeline.asked["texts"] == [{"text": "a", "text_pair": "b"}]
    with pytest.raises(TypeError, match="a text and its text_pair"):
        TextClassifier(pipeline, {}).predict(pd.DataFrame({"text": ["a"], "age": [1]}), {})


def test_each_text_is_encoded_by_itself() -> None:
    asked: dict[str, Any] = {}

    def encode(texts: list[str], **options: Any) -> Any:
        asked.update(options)
        return np.array([[float(len(text)), 0.5] for text in texts])

    model = Embeddings(SimpleNamespace(encode=encode), OutputNames(None))
    assert model.predict(TABLE, {}) == ([{"output_0": 1.0, "output_1": 0.5}] * 2, None)
    assert asked["batch_size"] == 1
