"""A model from its MLflow directory, without MLflow and without running code of the artifact."""

from __future__ import annotations

import importlib.util
import json
import pickle
import struct
import threading
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from passerelle.errors import TRAIN_AGAIN, IntegrityError, OutsideError, UsageError
from passerelle.scorer.compile.pipeline_label import pipeline_label
from passerelle.settings import LoadingSettings, StateSettings

_TRUSTED_BUILTINS = frozenset(
    f"builtins.{name}" for name in ("bool", "bytes", "dict", "float", "frozenset", "int", "list", "range", "set", "slice", "str", "tuple")
) | {"collections.defaultdict", "collections.OrderedDict"}
#: Parts of scikit-learn, numpy and scipy that run, read or build something for whoever calls them.
_ACTING_MODULES = frozenset(
    {"testing", "tests", "f2py", "distutils", "externals", "ctypeslib", "_datasource", "npyio", "_npyio_impl", "io", "datasets", "conftest"}
)
_HARMLESS_FUNCTIONS = ("sklearn.feature_selection.", "sklearn.metrics.")
ColumnType = Literal["string", "boolean", "integer", "long", "float", "double"]
_COLUMN_TYPES = frozenset({"string", "boolean", "integer", "long", "float", "double"})
#: The example of a column of each type: nothing of the data, which everybody may read.
EXAMPLES: Mapping[ColumnType, Any] = {
    "string": "Aucune réponse depuis trois mois",
    "boolean": True,
    "integer": 1,
    "long": 1,
    "float": 1.0,
    "double": 1.0,
}
_LARGEST_UNPACKED_BYTES = 4 << 30
#: What the readers of a broken file raise. RuntimeError: recursion without end, or what a zip archive says that Python cannot unpack.
_UNREADABLE = (
    ValueError, TypeError, LookupError, AttributeError, ImportError, OSError, EOFError, RuntimeError, MemoryError, SyntaxError,
    struct.error, zlib.error, pickle.UnpicklingError,
)  # fmt: skip


@dataclass(frozen=True)
class Column:
    """One field of the record, as the signature names it."""

    name: str
    type: ColumnType
    required: bool = True


@dataclass(frozen=True)
class ModelDescription:
    """What the MLmodel file says of a model, before anything is loaded.

    Attributes:
        model_file: The skops file, or the pickle where the operator trusts pickles, relative to the model's directory.
        columns: The record's fields, in the order of the signature.
        libraries: Version of each library at training, by name.
        example: A made-up record of these columns, for the documentation; the stored input example may be a citizen's own words.
        pickled: Whether it is a pickle.
    """

    model_file: str
    columns: tuple[Column, ...]
    libraries: dict[str, str]
    signature: dict[str, Any]
    example: dict[str, Any] | None
    pickled: bool = False


def describe(folder: Path) -> ModelDescription:
    """Return what the directory's MLmodel file says.

    Raises:
        UsageError: The flavor is not a scikit-learn model, it has no signature, or a column is of a type that no record can hold.
        IntegrityError: The model is a pickle, or its file lies outside of the directory or is a link.
    """
    refuse_links(folder)
    try:
        return _described(folder)
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise IntegrityError(f"the MLmodel file of {folder} means nothing: {type(error).__name__}", hint=TRAIN_AGAIN) from error


def _described(folder: Path) -> ModelDescription:
    try:
        content = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
        flavors, signature = dict(content["flavors"]), dict(content.get("signature") or {})
    except (yaml.YAMLError, *_UNREADABLE) as error:
        raise IntegrityError(f"{folder} holds no readable MLmodel file", hint=TRAIN_AGAIN) from error
    flavor = flavors.get("sklearn")
    if not isinstance(flavor, dict):
        names = ", ".join(sorted(flavors)) or "none"
        raise UsageError(f"the model's flavors are {names}: only scikit-learn classifiers can be served", hint="mlflow.sklearn.log_model")
    pickled = flavor.get("serialization_format") != "skops"
    if pickled:
        refuse_pickle(str(flavor.get("serialization_format")))
    model_file = str(flavor.get("pickled_model", ""))
    target = (folder / model_file).resolve()
    if not model_file or folder.resolve() not in target.parents or not target.is_file():
        raise IntegrityError(f"the MLmodel file names « {model_file} », which is not a file of the model", hint=TRAIN_AGAIN)
    libraries = {"scikit-learn": str(flavor.get("sklearn_version", "")), **_pinned(folder / "requirements.txt")}
    columns = _columns(signature)
    example = {column.name: EXAMPLES[column.type] for column in columns}
    return ModelDescription(model_file, columns, libraries, signature, example, pickled=pickled)


def refuse_links(folder: Path) -> None:
    """Refuse a directory that holds a symbolic link or anything but files and folders.

    Raises:
        IntegrityError: Names the entry.
    """
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise IntegrityError(f"the model holds {path.relative_to(folder)}, which is neither a file nor a folder", hint=TRAIN_AGAIN)


def load_pipeline(folder: Path, description: ModelDescription) -> Any:
    """Return the fitted scikit-learn classifier of the directory.

    Raises:
        IntegrityError: The file names a type that the operator does not trust, unpacks to too much, or cannot be read.
        UsageError: What is in it cannot classify.
        OutsideError: The libraries that load it are not installed, as in the image of a compiled model.
    """
    from zipfile import BadZipFile  # noqa: PLC0415

    if not pipelines_load_here():
        message = "the model's pipeline is needed, and scikit-learn is not installed here"
        raise OutsideError(message, hint="passerelle containerize --with-pipeline")
    import skops.io  # noqa: PLC0415
    from skops.io.exceptions import UntrustedTypesFoundException  # noqa: PLC0415

    path = folder / description.model_file
    if description.pickled:
        return _classifier(_unpickled(path))
    refuse_bombs(path)
    try:
        named = skops.io.get_untrusted_types(file=path)
        operators = LoadingSettings.read().trusted_types
        foreign = sorted(name for name in named if not trusted(name, operators))
        if foreign:
            hint = f"train it with scikit-learn's own types; where you trust them: export PASSERELLE_TRUSTED_TYPES={operators},{foreign[0]}"
            raise IntegrityError(f"the model holds types that are not trusted: {', '.join(foreign)}", hint=hint)
        loaded = skops.io.load(path, trusted=named)
    except (UntrustedTypesFoundException, BadZipFile, *_UNREADABLE) as error:
        raise IntegrityError(f"{description.model_file} is not a readable skops file: {type(error).__name__}", hint=TRAIN_AGAIN) from error
    return _classifier(loaded)


def pipelines_load_here() -> bool:
    """Return whether the libraries that load a pipeline are installed."""
    return all(importlib.util.find_spec(name) for name in ("skops", "pandas"))


def refuse_pickle(form: str) -> None:
    """Return where the operator trusts pickles.

    Raises:
        IntegrityError: The operator does not, or this is production.
    """
    message = f"the model is saved as {form}, which runs code when it is loaded"
    if not LoadingSettings.read().trust_pickle:
        way_out = "log it with mlflow.sklearn.log_model(…, serialization_format='skops')"
        raise IntegrityError(message, hint=f"{way_out}; or, in development alone: export PASSERELLE_TRUST_PICKLE=true")
    if StateSettings.read().environment == "production":
        hint = "unset PASSERELLE_TRUST_PICKLE; log it with mlflow.sklearn.log_model(…, serialization_format='skops')"
        raise IntegrityError(f"{message}: pickles are not trusted in production", hint=hint)


def _unpickled(path: Path) -> Any:
    refuse_pickle("pickle")
    try:
        with path.open("rb") as file:
            return pickle.load(file)  # noqa: S301 - the operator said to trust it
    except _UNREADABLE as error:
        raise IntegrityError(f"{path.name} is not a readable pickle: {type(error).__name__}", hint=TRAIN_AGAIN) from error


def _classifier(loaded: Any) -> Any:
    if not (hasattr(loaded, "predict") and hasattr(loaded, "classes_")):
        raise UsageError(f"the model is a {type(loaded).__name__}, which is not a classifier", hint="register a classifier")
    return loaded


class FittedPipeline:
    """The fitted pipeline of a model, loaded when it is first asked for: scikit-learn takes seconds to import, and a scorer needs none."""

    def __init__(self, folder: Path, description: ModelDescription) -> None:
        self._folder = folder
        self._description = description
        self._lock = threading.Lock()
        self._loaded: Any = None

    @property
    def is_loaded(self) -> bool:
        """Whether asking for it costs nothing."""
        return self._loaded is not None

    @property
    def is_available(self) -> bool:
        """Whether it can be asked for at all."""
        return self.is_loaded or pipelines_load_here()

    def __call__(self) -> Any:
        """Return the pipeline.

        Raises:
            IntegrityError: It would run code when loaded, or cannot be read.
            OutsideError: The libraries that load it are not installed.
        """
        with self._lock:
            if self._loaded is None:
                self._loaded = load_pipeline(self._folder, self._description)
            return self._loaded

    def label(self, question: Mapping[str, object] | str) -> Any:
        """Return the pipeline's own label of a record, or of a text where it takes no table.

        Raises:
            IntegrityError: As `__call__`.
            OutsideError: As `__call__`.
        """
        return pipeline_label(self(), question)


class PipelineNeededError(Exception):
    """Rounding decides about a label, and the pipeline that must be asked is not loaded."""


def trusted(type_name: str, operators: str = "sklearn,numpy,scipy") -> bool:
    """Return whether the operator trusts a type, by its full name.

    A package is trusted for its classes: a function, such as `numpy.load`, would be called with what the artifact says.

    Args:
        operators: Packages and full names, with commas between.
    """
    names = {name.strip() for name in operators.split(",") if name.strip()}
    if type_name in _TRUSTED_BUILTINS or type_name in names:
        return True
    *folders, last = type_name.split(".")
    is_class = last.lstrip("_")[:1].isupper() or type_name.startswith(_HARMLESS_FUNCTIONS)
    below = any(type_name.startswith(f"{name}.") for name in names)
    return below and is_class and not _ACTING_MODULES & set(folders)


def refuse_bombs(path: Path) -> None:
    """Refuse an archive that unpacks to more than a model can be.

    Raises:
        IntegrityError: It is not a zip archive, or too much is in it.
    """
    import zipfile  # noqa: PLC0415

    try:
        with zipfile.ZipFile(path) as archive:
            size_bytes = sum(item.file_size for item in archive.infolist())
    except (zipfile.BadZipFile, *_UNREADABLE) as error:
        raise IntegrityError(f"{path.name} is not a skops file", hint=TRAIN_AGAIN) from error
    if size_bytes > _LARGEST_UNPACKED_BYTES:
        raise IntegrityError(f"{path.name} unpacks to {size_bytes >> 20} MiB", hint=TRAIN_AGAIN)


def _columns(signature: dict[str, Any]) -> tuple[Column, ...]:
    try:
        entries = json.loads(signature["inputs"])
        columns = tuple(Column(str(entry["name"]), entry["type"], bool(entry.get("required", True))) for entry in entries)
    except (KeyError, TypeError, ValueError) as error:
        hint = "log it with mlflow.sklearn.log_model(…, signature=…) over a table with named columns"
        raise UsageError("the model has no signature with named columns", hint=hint) from error
    for column in columns:
        if column.type not in _COLUMN_TYPES:
            raise UsageError(
                f"the column « {column.name} » is of type {column.type}, which no record can hold", hint="train it on text or numbers"
            )
    if not columns:
        raise UsageError("the model's signature has no columns", hint="log it with a signature")
    return columns


def _pinned(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    pins: Iterator[tuple[str, str, str]] = (line.partition("==") for line in lines if "==" in line)
    return {name.strip(): pinned.partition(";")[0].strip() for name, _, pinned in pins}
