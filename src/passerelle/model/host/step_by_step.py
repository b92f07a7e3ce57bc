"""The probabilities of a pipeline, step by step: for one record, the steps' own work takes a third of what scikit-learn adds around it."""

from __future__ import annotations

from passerelle.model.host.values import Foreign

#: Transformers that take an array as they take a table, in a third of the time: scikit-learn checks each column of a table by itself.
_TAKE_ARRAYS = frozenset({"OneHotEncoder", "OrdinalEncoder"})


def step_by_step(estimator: Foreign) -> Foreign:
    """Return what gives the probabilities of a pipeline without going through the pipeline; the estimator itself where it is none."""
    while hasattr(estimator, "best_estimator_"):
        estimator = estimator.best_estimator_
    steps = getattr(estimator, "steps", None)
    return StepByStep([step for _, step in steps]) if isinstance(steps, list) and len(steps) > 1 else estimator


class StepByStep:
    """Answers as the pipeline of these steps; `QuickWays` holds it to that before it is taken.

    Args:
        steps: Fitted, the classifier last.
    """

    def __init__(self, steps: list[Foreign]) -> None:
        self._transformers = [step for step in steps[:-1] if step is not None and step != "passthrough"]
        self._classifier = steps[-1]

    def predict_proba(self, given: Foreign) -> Foreign:
        """Return the probabilities of the classes for each record."""
        for step in self._transformers:
            given = _columns(step, given) if type(step).__name__ == "ColumnTransformer" else step.transform(given)
        if type(self._classifier).__name__ == "LGBMClassifier":
            return _of_booster(self._classifier.booster_.predict(given, num_threads=1))
        return self._classifier.predict_proba(given)


def _columns(step: Foreign, table: Foreign) -> Foreign:
    """Return what a transformer of columns gives: the parts side by side."""
    import numpy as np

    if getattr(step, "_sklearn_output_config", None) or step.transformer_weights:
        return step.transform(table)
    parts = []
    for _, transformer, columns in step.transformers_:
        if isinstance(transformer, str) and transformer == "drop":
            continue
        part = table[_names(step, columns)]
        if type(transformer).__name__ in _TAKE_ARRAYS:
            part = part.to_numpy()
        if getattr(part, "shape", (0, 1))[-1]:
            parts.append(part if isinstance(transformer, str) else transformer.transform(part))
    if step.sparse_output_:
        from scipy import sparse

        return sparse.hstack(parts).tocsr()
    return np.hstack([part.toarray() if hasattr(part, "toarray") else part for part in parts])


def _names(step: Foreign, columns: Foreign) -> Foreign:
    """Return the name of one column, or the names of several.

    Raises:
        TypeError: They are named in another way, which the transformer itself understands.
    """
    if isinstance(columns, str):
        return columns
    named = [str(step.feature_names_in_[each]) if isinstance(each, int) else each for each in columns]
    if not all(isinstance(each, str) for each in named):
        raise TypeError("columns without names")
    return named


def _of_booster(found: Foreign) -> Foreign:
    """Return the probabilities of all classes; of two, a booster gives that of the second."""
    import numpy as np

    return np.column_stack([1.0 - found, found]) if found.ndim == 1 else found
