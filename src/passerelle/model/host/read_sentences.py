"""Embeddings of texts, by sentence-transformers."""

from __future__ import annotations

from passerelle.model.host.outputs import OutputNames
from passerelle.model.host.read_transformers import texts_of
from passerelle.model.host.readers import Recipe
from passerelle.model.host.values import Foreign


def read(recipe: Recipe) -> Embeddings:
    """Return the encoder of the directory."""
    import mlflow.sentence_transformers

    return Embeddings(mlflow.sentence_transformers.load_model(str(recipe.folder)), recipe.names)


class Embeddings:
    """Answers with the embedding of a text.

    Each text is encoded by itself: padded to the length of another one, it would get other last digits.

    Attributes:
        task: `multioutput`.
        classes: None.
    """

    task = "multioutput"
    classes: list[object] | None = None

    def __init__(self, encoder: Foreign, names: OutputNames) -> None:
        self._encoder = encoder
        self._names = names

    def predict(self, table: Foreign, params: dict[str, object]) -> tuple[list[object], None]:
        """Return the embedding of each record."""
        options = {"batch_size": 1, "show_progress_bar": False, **params}
        return self._names.rows(self._encoder.encode(texts_of(table), **options)), None
