"""What the process of a model needs of its environment, and what of the model's requirements only logging needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from passerelle.errors import DamagedFileError

#: Flavors that the process reads without MLflow, in the order in which they are preferred, and what that takes.
NATIVE: Mapping[str, tuple[str, ...]] = {
    "sklearn": ("scikit-learn", "numpy", "pandas"),
    "lightgbm": ("lightgbm", "numpy", "pandas"),
    "xgboost": ("xgboost", "numpy", "pandas"),
    "catboost": ("catboost", "numpy", "pandas"),
    "onnx": ("onnxruntime", "numpy", "pandas"),
}
#: What unpickles or reads a model's file, by the format that the MLmodel file names.
_BY_FORMAT = {"cloudpickle": "cloudpickle", "skops": "skops", "pickle": "joblib"}
#: What reads any other flavor.
_PYFUNC = ("mlflow", "numpy", "pandas")
_MLFLOW = frozenset({"mlflow", "mlflow-skinny", "mlflow-tracing"})


@dataclass(frozen=True)
class Needs:
    """What the process of a model needs.

    Attributes:
        flavor: The flavor of the MLmodel file that is read.
        packages: Names of the packages that must be there, whether the model names them or not.
        without_mlflow: Whether it reads the model without MLflow.
    """

    flavor: str
    packages: tuple[str, ...]
    without_mlflow: bool


def needs_of(folder: Path, flavor: str | None = None) -> Needs:
    """Return what the process needs for the model of a directory.

    Args:
        folder: As MLflow wrote it.
        flavor: The one that is read; by default the first that is read without MLflow, and else `python_function`.

    Raises:
        IntegrityError: The directory holds no readable MLmodel file.
    """
    flavors = _flavors(folder)
    chosen = flavor or next((name for name in NATIVE if name in flavors), "python_function")
    if chosen not in NATIVE:
        return Needs(chosen, _PYFUNC, without_mlflow=False)
    described = flavors.get(chosen)
    described = described if isinstance(described, dict) else {}
    packages = list(NATIVE[chosen])
    # LightGBM and XGBoost models of the interface of scikit-learn are pickles or need its estimators.
    if "sklearn" in str(described.get("model_class", "")) or str(described.get("model_class", "")).startswith("lightgbm"):
        packages.append("scikit-learn")
    packages += [name for form, name in _BY_FORMAT.items() if described.get("serialization_format") == form]
    return Needs(chosen, tuple(dict.fromkeys(packages)), without_mlflow=True)


def split(packages: Sequence[Requirement], needs: Needs, kept: Sequence[Requirement] = ()) -> tuple[list[Requirement], list[Requirement]]:
    """Return the requirements that are installed, and those that only logging needs.

    Args:
        packages: What the model names.
        needs: What the process needs.
        kept: Overrides of the operator, which are installed in any case.
    """
    named = {canonicalize_name(each.name) for each in kept}
    only_logging = [each for each in packages if needs.without_mlflow and canonicalize_name(each.name) in _MLFLOW - named]
    return [each for each in packages if each not in only_logging], only_logging


def _flavors(folder: Path) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
        return dict(content["flavors"])
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError, RecursionError) as error:
        raise DamagedFileError(
            f"cannot read {folder.name}/MLmodel: {type(error).__name__}", hint="passerelle adopt models:/NAME/VERSION"
        ) from error
