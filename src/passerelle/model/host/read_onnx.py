"""ONNX models, run by ONNX Runtime on the processor."""

from __future__ import annotations

from passerelle.model.host.outputs import OutputNames, numbers, plain, task_of_values
from passerelle.model.host.readers import Recipe
from passerelle.model.host.values import Foreign

_TYPES = {
    "tensor(float)": "float32", "tensor(double)": "float64", "tensor(int64)": "int64", "tensor(int32)": "int32", "tensor(bool)": "bool",
    "tensor(float16)": "float16", "tensor(uint8)": "uint8", "tensor(int8)": "int8", "tensor(int16)": "int16", "tensor(string)": "object",
}  # fmt: skip
_TWO = 2


def read(recipe: Recipe) -> Session:
    """Return the model of the directory."""
    return Session(recipe.file("data", "model.onnx"), recipe.names)


class Session:
    """Answers with the outputs of the graph: a label and probabilities where it has such, else named outputs.

    Attributes:
        task: What it does with a record.
        classes: Its labels, in the order of the probabilities; None where it has none.
    """

    def __init__(self, path: str, names: OutputNames) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(path, sess_options=options, providers=["CPUExecutionProvider"])
        self._names = names
        self._inputs = self._session.get_inputs()
        self._outputs = [each.name for each in self._session.get_outputs()]
        self.task = "other"
        self.classes: list[object] | None = None
        self._place = self._classifier(path)

    def predict(self, table: Foreign, params: dict[str, object]) -> tuple[list[object], list[list[float]] | None]:
        """Return the value of each record, and the probabilities of the classes, or None without any."""
        del params
        answers = self._session.run(None, self._feed(table))
        if self._place is None:
            rows = self._names.rows(answers[0] if len(answers) == 1 else dict(zip(self._outputs, answers)))
            if self.task == "other":
                self.task = task_of_values(rows)
            return rows, None
        label, probability = self._place
        found = answers[probability]
        if isinstance(found, list):  # a ZipMap: an object a record
            return plain(answers[label]), [[float(row[name]) for name in self.classes or ()] for row in found]
        return plain(answers[label]), numbers(found)

    def quick(self, given: Foreign) -> tuple[list[object], list[list[float]] | None]:
        """Return what `predict` returns, of an array of numbers too."""
        return self.predict(given, {})

    def _feed(self, table: Foreign) -> dict[str, Foreign]:
        import numpy as np

        if len(self._inputs) == 1:
            (only,) = self._inputs
            values = table.to_numpy() if hasattr(table, "to_numpy") else np.asarray(table)
            dtype = _TYPES[only.type]
            values = np.asarray(values.tolist() if values.dtype == object and dtype != "object" else values, dtype=dtype)
            return {only.name: values.reshape(len(values), -1) if values.ndim == 1 and len(only.shape) == _TWO else values}
        feed = {}
        for each in self._inputs:
            values = np.asarray(table[each.name].tolist(), dtype=_TYPES[each.type])
            feed[each.name] = values.reshape(-1, 1) if values.ndim == 1 and len(each.shape) == _TWO else values
        return feed

    def _classifier(self, path: str) -> tuple[int, int] | None:
        """Find the outputs of a classifier, a label and its probabilities, and read the classes."""
        outputs = self._session.get_outputs()
        labels = [place for place, each in enumerate(outputs) if each.type in {"tensor(int64)", "tensor(string)"} and len(each.shape) == 1]
        others = [place for place in range(len(outputs)) if place not in labels]
        if len(labels) != 1 or len(others) != 1:
            return None
        self.classes = _classes_in(path)
        if self.classes is None:
            return None
        self.task = "classification"
        return labels[0], others[0]


def _classes_in(path: str) -> list[object] | None:
    """Return the labels that the classifier of the graph names; None where none does, or the file cannot be read for them."""
    try:
        import onnx
    except ImportError:
        return None
    for node in onnx.load(path, load_external_data=False).graph.node:
        for attribute in node.attribute:
            if attribute.name.startswith("classlabels_") and (attribute.ints or attribute.strings):
                return list(attribute.ints) or [each.decode() for each in attribute.strings]
    return None
