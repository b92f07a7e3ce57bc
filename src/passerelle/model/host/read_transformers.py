"""Text classification of transformers: the probability of every label, where pyfunc gives that of the most probable alone."""

from __future__ import annotations

from passerelle.model.host.readers import Recipe
from passerelle.model.host.values import Foreign

_HALF = 0.5
_PAIR = {"text", "text_pair"}


def read(recipe: Recipe) -> TextClassifier:
    """Return the classifier of the directory."""
    import mlflow.transformers

    config = recipe.function.get("config")
    return TextClassifier(mlflow.transformers.load_model(str(recipe.folder)), dict(config) if isinstance(config, dict) else {})


class TextClassifier:
    """Answers with the labels of a text.

    Args:
        pipeline: Of transformers, with its tokenizer.
        config: What the model was logged with for its tokenizer, such as `truncation`.

    Attributes:
        task: `classification`, `multilabel` where each label has a probability of its own, `regression` where there is one output.
        classes: The labels of the model's configuration, in its order; None of a regression.
        takes_rows: It takes lists of one text each too, in place of a table.
    """

    takes_rows = True

    def __init__(self, pipeline: Foreign, config: dict[str, object]) -> None:
        self._pipeline = pipeline
        self._config = config
        described = pipeline.model.config
        labels: list[object] = [str(described.id2label[place]) for place in range(described.num_labels)]
        several = getattr(described, "problem_type", None) == "multi_label_classification"
        self.task = "regression" if len(labels) == 1 else "multilabel" if several else "classification"
        self.classes: list[object] | None = None if self.task == "regression" else labels

    def predict(self, table: Foreign, params: dict[str, object]) -> tuple[list[object], list[list[float]] | None]:
        """Return the value of each record, and the probabilities of the labels, or None of a regression."""
        return self._answers(self._pipeline(texts_of(table), top_k=None, **{**self._config, **params}))

    def quick(self, given: Foreign) -> tuple[list[object], list[list[float]] | None]:
        """Return what `predict` returns: the texts go through the model one by one as there, without the loader of data around it."""
        import torch

        pipeline = self._pipeline
        before, _, after = pipeline._sanitize_parameters(top_k=None, **self._config)
        rows = []
        with torch.inference_mode():
            for text in texts_of(given):
                tokens = pipeline.preprocess(text, **{**pipeline._preprocess_params, **before})
                logits = pipeline.model(**tokens).logits
                rows.append(pipeline.postprocess({"logits": logits}, **{**pipeline._postprocess_params, **after}))
        return self._answers(rows)

    def _answers(self, rows: Foreign) -> tuple[list[object], list[list[float]] | None]:
        scores = [{str(each["label"]): float(each["score"]) for each in row} for row in rows]
        if self.classes is None:
            return [next(iter(row.values())) for row in scores], None
        labels = [str(label) for label in self.classes]
        probabilities = [[row[label] for label in labels] for row in scores]
        if self.task == "multilabel":
            return [[label for label in labels if row[label] > _HALF] for row in scores], probabilities
        return [labels[row.index(max(row))] for row in probabilities], probabilities


def texts_of(table: Foreign) -> list[object]:
    """Return what a model of texts takes: texts, or pairs of them.

    Raises:
        TypeError: There are other columns.
    """
    if isinstance(table, list) and table and isinstance(table[0], list):
        return [text for (text,) in table]
    columns = list(getattr(table, "columns", ()))
    if len(columns) > 1:
        if set(columns) != _PAIR:
            raise TypeError("a model of texts takes one text, or a text and its text_pair")
        return list(table.to_dict(orient="records"))
    return list(table[columns[0]] if columns else table)
