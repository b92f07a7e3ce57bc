"""What models answer, in one shape: a value for each record, and the probabilities of the classes where there are any."""

from __future__ import annotations

from passerelle.model.host.values import NUMBER, Foreign, encoded


class OutputNames:
    """Names the outputs of a model that gives several.

    Args:
        outputs: The columns of the signature's output schema; None without any.
    """

    def __init__(self, outputs: list[dict[str, object]] | None) -> None:
        self._names = [str(each["name"]) for each in outputs or () if each.get("name") is not None]

    def of(self, count: int) -> list[str]:
        """Return the names of so many outputs: the schema's where it has as many."""
        return self._names if len(self._names) == count else [f"output_{place}" for place in range(count)]

    def rows(self, answer: Foreign) -> list[object]:
        """Return an answer of any library as one value for each record.

        A table or an array of one column becomes the values of the column; of several columns, an object for each record.
        """
        if hasattr(answer, "to_dict") and hasattr(answer, "columns"):
            columns = list(answer.columns)
            if len(columns) == 1:
                return _list(answer[columns[0]])
            names = [str(each) for each in columns]
            if names == [str(place) for place in range(len(names))]:
                names = self.of(len(names))
            return [dict(zip(names, row)) for row in zip(*(_list(answer.iloc[:, place]) for place in range(len(names))))]
        if isinstance(answer, dict):
            return _of_arrays({str(name): _list(values) for name, values in answer.items()})
        values = _list(answer)
        if not values or not all(isinstance(each, list) for each in values):
            return values
        widths = {len(each) for each in values if isinstance(each, list)}
        if len(widths) > 1 or _ndim(answer) != 2:
            return values
        (width,) = widths
        names = self.of(width)
        return [row[0] if width == 1 else dict(zip(names, row)) for row in values if isinstance(row, list)]


def _ndim(answer: Foreign) -> int:
    if isinstance(answer, list):
        return 2
    return int(getattr(answer, "ndim", 1))


def _of_arrays(columns: dict[str, list[object]]) -> list[object]:
    lengths = {len(each) for each in columns.values()}
    if len(lengths) != 1:
        raise ValueError("the model gives outputs of several lengths")
    names = list(columns)
    rows = zip(*(columns[name] for name in names))
    return [row[0] if len(names) == 1 else dict(zip(names, row)) for row in rows]


def _list(values: Foreign) -> list[object]:
    found = encoded(values)
    return found if isinstance(found, list) else [found]


def plain(values: Foreign) -> list[object]:
    """Return an array of one dimension, or of one column, as a list."""
    if _ndim(values) == 2 and getattr(values, "shape", (0, 0))[1] == 1:
        values = values.ravel()
    return _list(values)


def numbers(values: Foreign) -> list[list[float]]:
    """Return rows of probabilities.

    Raises:
        ValueError: One is no finite number.
    """
    import numpy as np

    table = np.asarray(values, dtype="float64")
    if table.ndim != 2 or not np.isfinite(table).all():
        raise ValueError("the model gives probabilities that are no numbers")
    rows: list[list[float]] = table.tolist()
    return rows


def task_of_values(rows: list[object]) -> str:
    """Return what a model does that gives such values: objects are several outputs, numbers with a fraction a regression."""
    if rows and all(isinstance(each, dict) and NUMBER not in each for each in rows):
        return "multioutput"
    if rows and all(isinstance(each, float) or (isinstance(each, dict) and NUMBER in each) for each in rows):
        return "regression"
    return "other"
