"""What no other reader takes: MLflow's `pyfunc`, with whatever flavor, class or code it names."""

from __future__ import annotations

from passerelle.model.host.outputs import task_of_values
from passerelle.model.host.readers import Recipe
from passerelle.model.host.values import Foreign


def read(recipe: Recipe) -> Function:
    """Return the function of the directory."""
    import mlflow.pyfunc

    return Function(mlflow.pyfunc.load_model(str(recipe.folder)), recipe)


class Function:
    """Answers with what the function returns.

    Attributes:
        task: What it does with a record: classification where adoption recorded the names of labels, else seen from its answers.
        classes: The labels whose names adoption recorded; None without any.
    """

    def __init__(self, function: Foreign, recipe: Recipe) -> None:
        self._function = function
        self._names = recipe.names
        self.classes: list[object] | None = recipe.labels or None
        self.task = "classification" if self.classes else "other"

    def predict(self, table: Foreign, params: dict[str, object]) -> tuple[list[object], None]:
        """Return the value of each record."""
        rows = self._names.rows(self._function.predict(table, params=params or None))
        if self.task == "other":
            self.task = task_of_values(rows)
        return rows, None
