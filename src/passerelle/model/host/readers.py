"""The readers of the flavors: from a model's directory to something that predicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Estimator:
    """A fitted estimator with the interface of scikit-learn.

    Attributes:
        classes: Its labels, in Python's types; None where it has none.
        task: What it does with a record.
    """

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator
        classes = getattr(estimator, "classes_", None)
        self.classes: list[Any] | None = None if classes is None else list(getattr(classes, "tolist", lambda: list(classes))())
        self.task = "other" if self.classes is None else "classification"

    def predict(self, table: Any, params: dict[str, Any]) -> tuple[list[Any], list[list[float]] | None]:
        """Return the output of each record, and the probabilities of the classes, or None without any."""
        del params
        outputs = _plain(self._estimator.predict(table))
        probabilities = _plain(self._estimator.predict_proba(table)) if hasattr(self._estimator, "predict_proba") else None
        return outputs, probabilities


class PythonFunction:
    """A model that MLflow's `pyfunc` reads.

    Attributes:
        classes: None: it does not say.
        task: What it does with a record.
    """

    classes = None
    task = "other"

    def __init__(self, function: Any) -> None:
        self._function = function

    def predict(self, table: Any, params: dict[str, Any]) -> tuple[list[Any], None]:
        """Return the output of each record."""
        return _plain(self._function.predict(table, params=params or None)), None


def read_model(folder: Path, flavor: str) -> Any:
    """Return the model of the directory, read by the flavor of its MLmodel file."""
    if flavor == "sklearn":
        import mlflow.sklearn

        return Estimator(mlflow.sklearn.load_model(str(folder)))
    import mlflow.pyfunc

    return PythonFunction(mlflow.pyfunc.load_model(str(folder)))


def _plain(values: Any) -> list[Any]:
    """Return predictions as JSON has them."""
    if hasattr(values, "to_dict") and hasattr(values, "columns"):
        return list(values.to_dict(orient="records"))
    return list(values.tolist() if hasattr(values, "tolist") else values)
