"""Embeddings of texts, by sentence-transformers."""

from __future__ import annotations

from passerelle.model.host.outputs import OutputNames
from passerelle.model.host.read_transformers import texts_of
from passerelle.model.host.readers import Recipe
from passerelle.model.host.values import Foreign

#: Most tokens that go through the encoder together, unless they are of one text: more take memory and save no time.
_TOKENS = 2_048


def read(recipe: Recipe) -> Embeddings:
    """Return the encoder of the directory."""
    import mlflow.sentence_transformers

    return Embeddings(mlflow.sentence_transformers.load_model(str(recipe.folder)), recipe.names)


class Embeddings:
    """Answers with the embedding of a text.

    Attributes:
        task: `multioutput`.
        classes: None.
        takes_rows: It takes lists of one text each too, in place of a table.
        vectors: The numbers of an answer are one vector: those near zero are as exact as its length, not as themselves.
    """

    task = "multioutput"
    classes: list[object] | None = None
    takes_rows = True
    vectors = True

    def __init__(self, encoder: Foreign, names: OutputNames) -> None:
        self._encoder = encoder
        self._names = names

    def predict(self, table: Foreign, params: dict[str, object]) -> tuple[list[object], None]:
        """Return the embedding of each record; each text is encoded by itself, without the padding that others would bring."""
        options = {"batch_size": 1, "show_progress_bar": False, **params}
        return self._names.rows(self._encoder.encode(texts_of(table), **options)), None

    def quick(self, given: Foreign) -> tuple[list[object], None]:
        """Return what `predict` returns but for rounding: texts of as many tokens are encoded together, so that none is padded."""
        import numpy as np
        import torch

        features = self._encoder.tokenize(texts_of(given))
        lengths = _lengths(features)
        vectors: list[Foreign] = [None] * len(lengths)
        with torch.inference_mode():
            for length, places in _together(lengths):
                part = {name: values[places, :length] for name, values in features.items()}
                for place, vector in zip(places, self._encoder(part)["sentence_embedding"].float().numpy()):
                    vectors[place] = vector
        return self._names.rows(np.stack(vectors)), None


def _lengths(features: Foreign) -> list[int]:
    """Return the number of tokens of each text.

    Raises:
        ValueError: What the texts are padded with does not follow them, or there is something else than a number for each token.
    """
    mask = features["attention_mask"]
    lengths: list[int] = mask.sum(1).tolist()
    if any(values.shape != mask.shape for values in features.values()) or not all(row[:n].all() for row, n in zip(mask, lengths)):
        raise ValueError("the texts are padded in another way")
    return lengths


def _together(lengths: list[int]) -> list[tuple[int, list[int]]]:
    """Return the places of the texts that are encoded together, with their number of tokens."""
    of_length: dict[int, list[int]] = {}
    for place, length in enumerate(lengths):
        of_length.setdefault(length, []).append(place)
    most = {length: max(1, _TOKENS // max(1, length)) for length in of_length}
    return [
        (length, places[start : start + most[length]])
        for length, places in of_length.items()
        for start in range(0, len(places), most[length])
    ]
