"""From a model's directory to something that predicts: one reader a flavor of its MLmodel file."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Callable

from passerelle.model.host.outputs import OutputNames
from passerelle.model.host.values import Foreign

#: Whether the operator trusts these types, which a skops file holds.
Trusts = Callable[["list[str]"], bool]
#: The module that reads each flavor; pyfunc reads what is not here.
_READERS = {
    "sklearn": "read_sklearn",
    "lightgbm": "read_lightgbm",
    "xgboost": "read_xgboost",
    "catboost": "read_catboost",
    "onnx": "read_onnx",
    "transformers": "read_transformers",
    "sentence_transformers": "read_sentences",
}


class Recipe:
    """What the service says of a model that is to be read.

    Args:
        message: With `folder`, `flavor`, `entry` (the flavor's in the MLmodel file), `function` (pyfunc's entry), `outputs` and `labels`.
        trusts: Asks whether types are trusted.
    """

    def __init__(self, message: dict[str, Foreign], trusts: Trusts) -> None:
        self.folder = Path(str(message["folder"]))
        self.flavor = str(message["flavor"])
        self.entry: dict[str, Foreign] = dict(message.get("entry") or {})
        self.function: dict[str, Foreign] = dict(message.get("function") or {})
        self.names = OutputNames(message.get("outputs"))
        self.labels: list[object] = list(message.get("labels") or [])
        self.trusts = trusts

    def file(self, key: str, default: str) -> str:
        """Return the path of the file that the flavor's entry names."""
        return str(self.folder / str(self.entry.get(key) or default))


def read_model(recipe: Recipe) -> Foreign:
    """Return the model, with `task`, `classes` and `predict`."""
    code = recipe.entry.get("code") or recipe.function.get("code")
    if code:
        sys.path.insert(0, str(recipe.folder / str(code)))
    module = importlib.import_module(f"passerelle.model.host.{_READERS.get(recipe.flavor, 'read_function')}")
    return module.read(recipe)


def unpickled(path: str) -> Foreign:
    """Return what a pickle holds; those of cloudpickle need no more than pickle where its package is there."""
    import pickle

    with open(path, "rb") as file:  # noqa: PTH123 - as short as it gets
        return pickle.load(file)  # noqa: S301 - the service refuses pickles that the operator does not allow


def from_skops(path: str, trusts: Trusts) -> Foreign:
    """Return what a skops file holds.

    Raises:
        PermissionError: It holds types that the operator does not trust.
    """
    import skops.io

    named = skops.io.get_untrusted_types(file=path)
    if not trusts(list(named)):
        raise PermissionError("types that are not trusted")
    return skops.io.load(path, trusted=named)


def of_format(path: str, form: str, trusts: Trusts) -> Foreign:
    """Return the object that the file of an estimator holds, by the name of its format in the MLmodel file."""
    return from_skops(path, trusts) if form == "skops" else unpickled(path)
