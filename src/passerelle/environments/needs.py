"""What the process of a model needs of its environment, and what of the model's requirements only logging needs."""

from __future__ import annotations

import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from passerelle.model.flavors.logged import logged_flavor

#: Flavors that the process reads without MLflow, and what that takes.
NATIVE: Mapping[str, tuple[str, ...]] = {
    "sklearn": ("scikit-learn", "numpy", "pandas"),
    "lightgbm": ("lightgbm", "numpy", "pandas"),
    "xgboost": ("xgboost", "numpy", "pandas"),
    "catboost": ("catboost", "numpy", "pandas"),
    "onnx": ("onnxruntime", "onnx", "numpy", "pandas"),
}
#: What reads a model's file, by the format that the MLmodel file names.
_BY_FORMAT = {"cloudpickle": "cloudpickle", "skops": "skops"}
#: What reads any other flavor: MLflow without its server and its store.
_PYFUNC = ("mlflow-skinny", "cloudpickle", "numpy", "pandas")
_MLFLOW = "mlflow"
_OF_MLFLOW = frozenset({_MLFLOW, "mlflow-skinny", "mlflow-tracing"})


@dataclass(frozen=True)
class Needs:
    """What the process of a model needs.

    Attributes:
        flavor: The flavor of the MLmodel file that is read.
        packages: Names of the packages that must be there, whether the model names them or not.
        mlflow: What of MLflow it takes: nothing, `skinny`, or `whole`.
        python: Version of the Python that logged the model; None where the MLmodel file does not say.
    """

    flavor: str
    packages: tuple[str, ...]
    mlflow: str
    python: str | None = None


@dataclass(frozen=True)
class Installed:
    """What is installed of what the model names, and what is not, with the reason."""

    packages: tuple[Requirement, ...]
    left_out: tuple[str, ...]


def needs_of(folder: Path, flavor: str | None = None) -> Needs:
    """Return what the process needs for the model of a directory.

    Args:
        folder: As MLflow wrote it.
        flavor: The one that is read; by default it is chosen.

    Raises:
        IntegrityError: The directory holds no readable MLmodel file, or lacks a file that it names.
        UsageError: The model has no flavor that can be read.
    """
    logged = logged_flavor(folder, name=flavor)
    python, entry = logged.python or None, logged.entry
    if logged.name not in NATIVE:
        return Needs(logged.name, _PYFUNC, "skinny", python)
    packages = list(NATIVE[logged.name])
    # Estimators of LightGBM and XGBoost have classes of scikit-learn above them. LightGBM's boosters read tables by SciPy.
    if logged.name in {"lightgbm", "xgboost"}:
        booster = str(entry.get("model_class", "Booster")).endswith("Booster")
        packages += ["scipy"] if booster else ["scipy", "scikit-learn"]
    packages += [name for form, name in _BY_FORMAT.items() if entry.get("serialization_format") == form]
    return Needs(logged.name, tuple(dict.fromkeys(packages)), "whole" if _names_mlflow(folder) else "nothing", python)


def installed_of(packages: Sequence[Requirement], needs: Needs, kept: Sequence[Requirement] = ()) -> Installed:
    """Return what is installed of what the model names.

    Args:
        packages: What the model names.
        needs: What the process needs.
        kept: Overrides of the operator, which are installed as they stand.
    """
    named = {canonicalize_name(each.name) for each in kept}
    if needs.mlflow == "whole" or _MLFLOW in named:
        return Installed(tuple(packages), ())
    installed, left_out = [], []
    for each in packages:
        name = canonicalize_name(each.name)
        if name not in _OF_MLFLOW - named or (needs.mlflow == "skinny" and name != _MLFLOW):
            installed.append(each)
        elif needs.mlflow == "skinny":
            installed.append(Requirement(f"mlflow-skinny{each.specifier}"))
            left_out.append(f"{each}: mlflow-skinny, without server and store, is in its place")
        else:
            left_out.append(f"{each}: the model is read without it")
    return Installed(tuple(installed), tuple(left_out))


def _names_mlflow(folder: Path) -> bool:
    """Return whether code or a pickle of the model names MLflow, so that reading the model may import it."""
    return any(_holds(path, b"mlflow") for path in folder.rglob("*") if path.suffix in {".py", ".pkl", ".pickle", ".joblib"})


def _holds(path: Path, word: bytes) -> bool:
    if not path.is_file() or path.is_symlink() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(word) >= 0
