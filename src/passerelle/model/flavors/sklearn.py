"""scikit-learn classifiers, saved with skops, or with pickle where the operator trusts it."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from passerelle.errors import TRAIN_AGAIN, DamagedFileError, UntrustedTypeError, UsageError
from passerelle.model.flavors.flavor import FittedClassifier, ModelFile, Records
from passerelle.model.trust import UNREADABLE, refuse_bombs, refuse_pickle, trusted
from passerelle.scorer.compile.pipeline_label import pipeline_label
from passerelle.settings import LoadingSettings

#: Types of a calibrated classifier, which skops asks about; asking which it would ask about takes as long as reading the model.
_OF_CALIBRATED = ("sklearn.calibration._CalibratedClassifier", "sklearn.calibration._SigmoidCalibration")


class Sklearn:
    """The flavor of `mlflow.sklearn.log_model`; the interface is described at `Flavor`."""

    title = "scikit-learn"
    requirements: tuple[str, ...] = ("skops", "pandas")
    packages = frozenset({"sklearn", "scipy", "pandas", "joblib", "skops"})

    def describe(self, entry: Mapping[str, object]) -> ModelFile:
        """Return the skops file, or the pickle where the operator trusts pickles."""
        pickled = entry.get("serialization_format") != "skops"
        if pickled:
            refuse_pickle(str(entry.get("serialization_format")))
        return ModelFile(str(entry.get("pickled_model", "")), pickled)

    def libraries(self, entry: Mapping[str, object]) -> dict[str, str]:
        """Return the version of scikit-learn."""
        return {"scikit-learn": str(entry.get("sklearn_version", ""))}

    def load(self, path: Path, *, pickled: bool) -> FittedClassifier:
        """Return the fitted classifier."""
        loaded = _unpickled(path) if pickled else _from_skops(path)
        if not (hasattr(loaded, "predict") and hasattr(loaded, "classes_")):
            raise UsageError(f"the model is a {type(loaded).__name__}, which is not a classifier")
        return loaded

    def classes(self, classifier: FittedClassifier) -> tuple[object, ...]:
        """Return `classes_`."""
        return tuple(classifier.classes_.tolist())

    def predict(
        self, classifier: FittedClassifier, columns: Sequence[str], records: Records
    ) -> tuple[Sequence[object], Sequence[Sequence[float]] | None]:
        """Return what the classifier says of a table of these columns."""
        import pandas as pd  # noqa: PLC0415 - slow to import, and not there where a compiled scorer answers

        table = pd.DataFrame([dict(record) for record in records], columns=list(columns))
        # What a classifier returns may be a list.
        labels = np.asarray(classifier.predict(table)).tolist()
        return labels, np.asarray(classifier.predict_proba(table)).tolist() if hasattr(classifier, "predict_proba") else None

    def label(self, classifier: FittedClassifier, question: Mapping[str, object] | str) -> object:
        """Return the label of one record or text."""
        return pipeline_label(classifier, question)


def _from_skops(path: Path) -> FittedClassifier:
    import skops.io  # noqa: PLC0415 - not there where a compiled scorer answers
    from skops.io.exceptions import UntrustedTypesFoundException  # noqa: PLC0415

    refuse_bombs(path)
    operators = LoadingSettings.read().trusted_types
    try:
        # skops reads the whole file for each of its answers, and most models hold no other types than these.
        with suppress(UntrustedTypesFoundException):
            usual: FittedClassifier = skops.io.load(path, trusted=[name for name in _OF_CALIBRATED if trusted(name, operators)])
            return usual
        named = skops.io.get_untrusted_types(file=path)
        foreign = sorted(name for name in named if not trusted(name, operators))
        if foreign:
            message = (
                f"the model holds types that are not trusted: {', '.join(foreign)}; train it with scikit-learn's own types, or trust them"
            )
            raise UntrustedTypeError(message, hint=f"export PASSERELLE_TRUSTED_TYPES={','.join(filter(None, (operators, *foreign)))}")
        loaded: FittedClassifier = skops.io.load(path, trusted=named)
    except (UntrustedTypesFoundException, BadZipFile, *UNREADABLE) as error:
        raise DamagedFileError(f"{path.name} is not a readable skops file: {type(error).__name__}", hint=TRAIN_AGAIN) from error
    return loaded


def _unpickled(path: Path) -> FittedClassifier:
    refuse_pickle("pickle")
    try:
        with path.open("rb") as file:
            loaded: FittedClassifier = pickle.load(file)  # noqa: S301 - the operator said to trust it
    except UNREADABLE as error:
        raise DamagedFileError(f"{path.name} is not a readable pickle: {type(error).__name__}", hint=TRAIN_AGAIN) from error
    return loaded
