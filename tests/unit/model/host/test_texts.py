"""Models of texts: what a pipeline of transformers and an encoder answer, in the shape of every other model."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from passerelle.model.host.outputs import OutputNames
from passerelle.model.host.quick import QuickWays
from passerelle.model.host.read_sentences import Embeddings
from passerelle.model.host.read_transformers import TextClassifier
from passerelle.model.host.tables import Tables

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


class Numbers(np.ndarray[Any, Any]):
    """What a tensor can do, as far as the reader asks for it."""

    def float(self) -> Any:
        return self.astype(np.float32).view(Numbers)

    def numpy(self) -> Any:
        return np.asarray(self)


class Encoder:
    """Gives the number of a text's words; a padded word would count a hundred. Keeps the shape of what was encoded together."""

    def __init__(self, *, before: bool = False) -> None:
        self.asked: dict[str, Any] = {}
        self.parts: list[tuple[int, ...]] = []
        self._before = before

    def encode(self, texts: list[str], **options: Any) -> Any:
        self.asked = options
        return np.array([[float(len(text.split())), 0.5] for text in texts])

    def tokenize(self, texts: list[str]) -> dict[str, Any]:
        counts = [len(text.split()) for text in texts]
        rows = [[1] * count + [0] * (max(counts) - count) for count in counts]
        mask = np.array([row[::-1] for row in rows] if self._before else rows)
        return {"input_ids": mask * 7, "attention_mask": mask}

    def __call__(self, features: dict[str, Any]) -> dict[str, Any]:
        tokens = features["input_ids"]
        self.parts.append(tokens.shape)
        words = (tokens == 7).sum(1) + 100 * (tokens == 0).sum(1)
        return {"sentence_embedding": np.stack([words, np.full(len(words), 0.5)], axis=1).view(Numbers)}


def test_each_text_is_encoded_by_itself() -> None:
    encoder = Encoder()
    assert Embeddings(encoder, OutputNames(None)).predict(TABLE, {}) == ([{"output_0": 1.0, "output_1": 0.5}] * 2, None)
    assert encoder.asked["batch_size"] == 1


def test_texts_of_as_many_tokens_are_encoded_together_and_none_is_padded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(inference_mode=nullcontext))
    encoder = Encoder()
    texts = [["a b c"], ["a"], ["a b c"], ["b"], ["a " * 900], ["b " * 900], ["c " * 900]]
    found, _ = Embeddings(encoder, OutputNames(None)).quick(texts)
    assert [row["output_0"] for row in found] == [3.0, 1.0, 3.0, 1.0, 900.0, 900.0, 900.0]  # type: ignore[index]
    assert encoder.parts == [(2, 3), (2, 1), (2, 900), (1, 900)], "long texts are no more at a time than memory has room for"


def test_texts_that_are_padded_in_front_are_encoded_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(inference_mode=nullcontext))
    encoder = Encoder(before=True)
    ways = QuickWays(Embeddings(encoder, OutputNames(None)), Tables([{"name": "text", "type": "string"}], "table"))
    records: list[dict[str, object]] = [{"text": "a b"}, {"text": "a"}]
    for _ in range(8):
        assert [row["output_0"] for row in ways.predict(records, {})[0]] == [2.0, 1.0]
    assert not encoder.parts
