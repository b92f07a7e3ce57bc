"""The part of training that a project brings: its candidates, its figures and its demo data, read from the project's folder."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from passerelle.errors import UsageError
from passerelle.project_file import ProjectFile, read_project_file
from passerelle.training.candidate import Candidate
from passerelle.training.dataset import Dataset, read_data
from passerelle.training.params import Params

FOLDER = "training"
_NEW_PROJECT = "passerelle new my-project; cd my-project"


@dataclass(frozen=True)
class TrainingProject:
    """What the folder `training/` of a project says.

    Attributes:
        folder: That folder; its code counts in the code digest of a training.
        candidates_for: Returns the candidates for a data set and a seed.
        params: How to split and to measure.
        file: The project's passerelle.toml: its name, language and data.
    """

    folder: Path
    candidates_for: Callable[..., tuple[Candidate, ...]]
    params: Params
    file: ProjectFile

    def demo_data(self) -> Dataset:
        """Return the labelled records that come with the project."""
        data = self.file.data
        path = self.folder.parent / data.file
        columns = data.feature_columns or None
        return read_data(path, text_column=data.text_columns, label_column=data.label_column, feature_columns=columns)


def read_training_project(root: Path) -> TrainingProject:
    """Return what `training/candidates.py` and `training/params.py` of a project define.

    Args:
        root: The project's root folder.

    Raises:
        UsageError: One of the files is missing, cannot be imported, or lacks `candidates_for` or `PARAMS`.
    """
    file = read_project_file(root)
    folder = root.resolve() / FOLDER
    candidates, params = _module(folder / "candidates.py"), _module(folder / "params.py")
    found = getattr(candidates, "candidates_for", None)
    if not callable(found):
        raise UsageError(f"{folder / 'candidates.py'} defines no function candidates_for", hint=_NEW_PROJECT)
    figures = getattr(params, "PARAMS", None)
    if not isinstance(figures, Params):
        raise UsageError(f"{folder / 'params.py'} defines no PARAMS of the class passerelle.training.params.Params", hint=_NEW_PROJECT)
    return TrainingProject(folder, found, figures, file)


def _module(path: Path) -> ModuleType:
    """Import a file of the project; two projects in one process do not share modules."""
    if not path.is_file():
        raise UsageError(f"{path.parent.parent} is not a project of passerelle: it holds no {FOLDER}/{path.name}", hint=_NEW_PROJECT)
    name = f"{FOLDER}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # noqa: S101 - a path that ends in .py always has a loader
    module = importlib.util.module_from_spec(spec)
    parent = str(path.parent.parent)
    sys.path.insert(0, parent)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"{path} cannot be imported: {type(error).__name__}: {error}", hint=f"python {path}") from error
    finally:
        sys.path.remove(parent)
    return module
