"""The directory of a converted model: the files of the pickled one, with the model in its new form in the pickle's place."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from passerelle.model.flavors.logged import PYFUNC, LoggedFlavor
from passerelle.model.mlmodel_content import mlmodel_content

#: The forms that a model is converted to.
Form = Literal["skops", "onnx"]
_REQUIREMENTS = "requirements.txt"
#: What names the logged model itself, and what is of its flavors alone.
_OF_THE_ANCESTOR = ("model_id", "run_id", "artifact_path", "model_size_bytes", "flavors")


@dataclass(frozen=True)
class NewFile:
    """What takes the place of the pickle.

    Attributes:
        libraries: Version of each library of the environment that wrote it, by name.
    """

    content: bytes
    form: Form
    libraries: Mapping[str, str]


def write_converted(ancestor: Path, into: Path, flavor: LoggedFlavor, new: NewFile) -> None:
    """Write the directory as MLflow writes one of its flavor.

    Args:
        ancestor: The directory of the pickled model.
        into: Does not exist yet.
        flavor: Of the pickled model.
        new: The model's file in its new form.
    """
    form, libraries = new.form, new.libraries
    shutil.copytree(ancestor, into, ignore=shutil.ignore_patterns(*(Path(each).name for each in flavor.files)))
    (into / f"model.{form}").write_bytes(new.content)
    logged = mlmodel_content(ancestor)
    mlflow = str(logged.get("mlflow_version", ""))
    lines = _requirements(ancestor, libraries, mlflow, form)
    (into / _REQUIREMENTS).write_text("\n".join(lines) + "\n", encoding="utf-8")
    _write_conda(into / "conda.yaml", lines)
    entries = _skops_entries(flavor) if form == "skops" else _onnx_entries(flavor, libraries)
    described = {key: value for key, value in logged.items() if key not in _OF_THE_ANCESTOR}
    described |= {"flavors": entries, "model_uuid": uuid.uuid4().hex}
    (into / "MLmodel").write_text(yaml.safe_dump(described, allow_unicode=True), encoding="utf-8")


def _skops_entries(flavor: LoggedFlavor) -> dict[str, Any]:
    key = "pickled_model" if "pickled_model" in flavor.entry else "data"
    entry = {**flavor.entry, key: "model.skops", "serialization_format": "skops"}
    function = dict(flavor.function)
    for named in ("model_path", "data"):
        if named in function:
            function[named] = "model.skops"
    return {flavor.name: entry, **({PYFUNC: function} if function else {})}


def _onnx_entries(flavor: LoggedFlavor, libraries: Mapping[str, str]) -> dict[str, Any]:
    environment = {name: flavor.function[name] for name in ("env", "python_version") if name in flavor.function}
    return {
        "onnx": {"data": "model.onnx", "onnx_version": libraries.get("onnx", ""), "providers": ["CPUExecutionProvider"]},
        PYFUNC: {"loader_module": "mlflow.onnx", "data": "model.onnx", **environment},
    }


def _requirements(ancestor: Path, libraries: Mapping[str, str], mlflow: str, form: Form) -> list[str]:
    """Return what the converted model asks for: what the pickled one does and skops, or what reads a graph."""
    if form == "onnx":
        pinned = _pinned(("onnx", "onnxruntime", "numpy", "pandas"), libraries)
        return [f"mlflow=={mlflow}" if mlflow else "mlflow", *pinned]
    path = ancestor / _REQUIREMENTS
    named = path.read_text(encoding="utf-8-sig").splitlines() if path.is_file() else _pinned(sorted(libraries), libraries)
    others = [line for line in named if line.strip() and not line.startswith("skops")]
    return [*others, *_pinned(["skops"], libraries)]


def _pinned(names: Sequence[str], libraries: Mapping[str, str]) -> list[str]:
    return [f"{name}=={libraries[name]}" if name in libraries else name for name in names]


def _write_conda(path: Path, lines: Sequence[str]) -> None:
    """Let the conda environment, which MLflow writes beside the requirements, ask for the same."""
    content = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
    if not isinstance(content, dict) or not isinstance(content.get("dependencies"), list):
        return
    content["dependencies"] = [each for each in content["dependencies"] if not isinstance(each, dict)] + [{"pip": list(lines)}]
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
