"""Which flavor of a logged model is read, and what is known of it before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from passerelle.errors import DamagedFileError, UsageError
from passerelle.model.mlmodel_content import mlmodel_content

PYFUNC = "python_function"
#: The flavors with a reader of their own, in the order in which they are taken, and the key of the entry that names the model's file.
_FILES: Mapping[str, str] = {
    "sklearn": "pickled_model", "lightgbm": "data", "xgboost": "data", "catboost": "data", "onnx": "data", "transformers": "model_binary",
    "sentence_transformers": "data",
}  # fmt: skip
#: The key of each flavor's entry that names the version of its library, and the library.
_LIBRARIES: Mapping[str, tuple[str, str]] = {
    "sklearn": ("sklearn_version", "scikit-learn"),
    "lightgbm": ("lgb_version", "lightgbm"),
    "xgboost": ("xgb_version", "xgboost"),
    "catboost": ("catboost_version", "catboost"),
    "onnx": ("onnx_version", "onnx"),
    "transformers": ("transformers_version", "transformers"),
    "sentence_transformers": ("sentence_transformers_version", "sentence-transformers"),
}
#: Those of which a pickle holds an estimator, which can be saved in another form.
ESTIMATORS = frozenset({"sklearn", "lightgbm"})
_FORMATS = frozenset({"skops", "pickle", "cloudpickle"})
#: Functions of an estimator that pyfunc may be told to call, and that the reader's answer holds.
_ANSWERED = frozenset({"predict", "predict_proba"})
#: What the reader of texts passes on to the tokenizer, of what a model of transformers may be logged with.
_OF_TOKENIZERS = frozenset({"truncation", "max_length", "padding"})
#: Those that answer with a vector of numbers in single precision.
VECTORS = frozenset({"sentence_transformers"})
_OF_TEXTS = frozenset({"transformers", "sentence_transformers"})
_TEXT_CLASSIFICATION = frozenset({"text-classification", "sentiment-analysis"})
_SUFFIXES_OF_PICKLES = frozenset({".pkl", ".pickle", ".joblib", ".pt", ".pth", ".bin", ".dill"})


@dataclass(frozen=True)
class LoggedFlavor:
    """The flavor that the process of an adopted model reads.

    Attributes:
        name: As in the MLmodel file; `python_function` for what has no reader of its own.
        title: The library, for messages and labels.
        files: Of the model, relative to its directory, as far as the flavor's entry names them.
        pickled: Whether reading the model runs code that lies in its files.
        libraries: Version of each library that the MLmodel file names, by name.
        python: The version of Python that logged the model; empty where the file does not say.
        entry: The flavor's entry.
        function: The entry of `python_function`; empty without any.
    """

    name: str
    title: str
    files: tuple[str, ...]
    pickled: bool
    libraries: Mapping[str, str]
    python: str
    entry: Mapping[str, object] = field(default_factory=dict)
    function: Mapping[str, object] = field(default_factory=dict)


def logged_flavor(folder: Path, *, name: str | None = None) -> LoggedFlavor:
    """Return the flavor of the model's directory that is read: one with a reader that answers as MLflow's pyfunc does, else pyfunc.

    Args:
        folder: The model's directory, with its MLmodel file.
        name: The flavor that adoption recorded; by default it is chosen.

    Raises:
        IntegrityError: The MLmodel file cannot be read, or names a file outside of the directory.
        UsageError: The model has no flavor that can be read.
    """
    flavors = mlmodel_content(folder, hint="passerelle status")["flavors"]
    entries = {str(key): dict(entry) for key, entry in flavors.items() if isinstance(entry, dict)}
    chosen = name or next((each for each in _FILES if each in entries and _answers_as_pyfunc(each, entries)), PYFUNC)
    if chosen not in entries:
        raise UsageError(f"the model's flavors are {', '.join(sorted(entries)) or 'none'}: none can be read; log it with a pyfunc flavor")
    _check_tokenizer(folder, entries)
    entry, function = entries[chosen], entries.get(PYFUNC, {})
    files = _files(folder, chosen, entry, function)
    libraries = {library: str(entries[each][key]) for each, (key, library) in _LIBRARIES.items() if entries.get(each, {}).get(key)}
    title = str(function.get("loader_module", "")).removeprefix("mlflow.") if chosen == PYFUNC else chosen
    return LoggedFlavor(
        name=chosen,
        title="pyfunc" if title in {"", "pyfunc.model"} else title,
        files=files,
        pickled=_runs_code(folder, chosen, entry, function),
        libraries=libraries,
        python=str(function.get("python_version", "")),
        entry=entry,
        function=function,
    )


def _answers_as_pyfunc(name: str, entries: Mapping[str, Mapping[str, object]]) -> bool:
    """Return whether the reader of this flavor gives what pyfunc gives, or more."""
    entry, function = entries[name], entries.get(PYFUNC)
    if name == "sklearn" and str(entry.get("serialization_format", "pickle")) not in _FORMATS:
        return False
    if name == "transformers" and not _classifies_texts(entry, function or {}):
        return False
    if function is None:
        return True
    return function.get("loader_module") == f"mlflow.{name}" and str(function.get("predict_fn", "predict")) in _ANSWERED


def _classifies_texts(entry: Mapping[str, object], function: Mapping[str, object]) -> bool:
    """Return whether a model of transformers is a text classifier that lies in its files, logged with options of its tokenizer alone."""
    config = function.get("config") or {}
    within = isinstance(config, dict) and set(config) <= _OF_TOKENIZERS
    return within and entry.get("task") in _TEXT_CLASSIFICATION and bool(entry.get("model_binary"))


def _check_tokenizer(folder: Path, entries: Mapping[str, Mapping[str, object]]) -> None:
    """Check that a text classifier of transformers has its tokenizer; raises UsageError otherwise."""
    entry = entries.get("transformers", {})
    # Of early versions of MLflow, the whole pipeline lies in one folder.
    if entry.get("task") not in _TEXT_CLASSIFICATION or entry.get("model_binary") in {None, "pipeline"}:
        return
    components = entry.get("components")
    named = isinstance(components, list) and "tokenizer" in components
    if not named or not any((folder / "components" / "tokenizer").glob("*")):
        message = "the model was logged without its tokenizer, and takes no text: log the pipeline of transformers with its tokenizer"
        raise UsageError(message, hint="passerelle adopt runs:/RUN_ID")


def _files(folder: Path, name: str, entry: Mapping[str, object], function: Mapping[str, object]) -> tuple[str, ...]:
    found = entry.get(_FILES.get(name, "")) or function.get("data") or function.get("model_path") or function.get("python_model") or ""
    files = tuple(str(each) for each in (found,) if each)
    for each in files:
        target = (folder / each).resolve()
        if folder.resolve() not in target.parents or not target.exists():
            raise DamagedFileError(f"the MLmodel file names '{each}', which is not a file of the model", hint="passerelle status")
    return files


def _runs_code(folder: Path, name: str, entry: Mapping[str, object], function: Mapping[str, object]) -> bool:
    """Return whether reading the model runs code of its files: a pickle, modules beside it, or a class of its own."""
    if entry.get("code") or function.get("code"):
        return True
    if name == "sklearn":
        return entry.get("serialization_format") != "skops"
    if name == "lightgbm":
        estimator = entry.get("model_class", "lightgbm.basic.Booster") != "lightgbm.basic.Booster"
        return estimator and entry.get("serialization_format") != "skops"
    if name in _FILES and name not in _OF_TEXTS:
        return False
    if name in _OF_TEXTS or function.get("loader_module") in {"mlflow.transformers", "mlflow.sentence_transformers", "mlflow.prophet"}:
        return any(path.suffix in _SUFFIXES_OF_PICKLES or path.suffix == ".py" for path in folder.rglob("*"))
    return True
