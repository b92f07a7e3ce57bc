"""A fitted estimator that was read from a pickle, saved in a form that runs no code when it is read."""

from __future__ import annotations

from passerelle.model.host.values import Foreign

_NUMBERS = {"boolean", "integer", "long", "float", "double"}


def converted(model: Foreign, form: str, inputs: list[dict[str, object]]) -> str:
    """Save the estimator in the folder of this process and return the file's name.

    Args:
        model: As `read_model` returned it.
        form: `skops` or `onnx`.
        inputs: The columns of the signature.

    Raises:
        TypeError: The model is no estimator.
        Exception: What the library of the form raises for an estimator that it cannot save.
    """
    estimator = getattr(model, "fitted", None)
    if estimator is None:
        raise TypeError(f"a {type(model).__name__} is no estimator")
    name = f"model.{form}"
    if form == "skops":
        import skops.io

        skops.io.dump(estimator, name)
    else:
        with open(name, "wb") as file:  # noqa: PTH123 - as short as it gets
            file.write(_onnx(estimator, inputs))
    return name


def _onnx(estimator: Foreign, inputs: list[dict[str, object]]) -> bytes:
    """Return the graph: of one matrix where all columns are numbers and the estimator takes one, else of named columns."""
    import skl2onnx

    ways = [_columns(inputs)]
    if len(inputs) > 1 and all(each.get("type") in _NUMBERS for each in inputs):
        ways.insert(0, _matrix(len(inputs)))
    options = {id(estimator): {"zipmap": False}} if hasattr(estimator, "classes_") else None
    for place, way in enumerate(ways):
        try:
            graph = skl2onnx.to_onnx(estimator, initial_types=way, options=options)
            return bytes(graph.SerializeToString())
        except Exception:
            if place == len(ways) - 1:
                raise
    raise ValueError("no columns")


def _matrix(width: int) -> Foreign:
    from skl2onnx.common.data_types import FloatTensorType

    return [("X", FloatTensorType([None, width]))]


def _columns(inputs: list[dict[str, object]]) -> Foreign:
    from skl2onnx.common import data_types

    kinds = {"boolean": "Boolean", "integer": "Int64", "long": "Int64", "float": "Float", "double": "Float", "string": "String"}
    found = []
    for each in inputs:
        kind = kinds.get(str(each.get("type")))
        if kind is None:
            raise TypeError(f"a column of the type {each.get('type')} has no form in ONNX")
        found.append((str(each.get("name")), getattr(data_types, f"{kind}TensorType")([None, 1])))
    return found
