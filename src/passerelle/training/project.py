"""The part of training that a project brings: its candidates, its figures and its demo data, read from the project's folder."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from passerelle.errors import UsageError, shell_word
from passerelle.project_file import ProjectFile, ProjectModel, check_training_folder, read_project_file
from passerelle.training.candidate import Candidate
from passerelle.training.dataset import Dataset, read_data
from passerelle.training.params import Params

_NEW_PROJECT = "passerelle new my-project; cd my-project"


@dataclass(frozen=True)
class TrainingProject:
    """What the folder `training/` of a project says.

    Attributes:
        folder: That folder; its code counts in the code digest of a training.
        candidates_for: Returns the candidates for a data set and a seed.
        params: How to split and to measure.
        file: The project's passerelle.toml: its name, language and data.
        root: The project's root folder.
        model: The registered model that is trained.
    """

    folder: Path
    candidates_for: Callable[..., tuple[Candidate, ...]]
    params: Params
    file: ProjectFile
    root: Path
    model: ProjectModel

    def demo_data(self) -> Dataset:
        """Return the labelled records that come with the project.

        Raises:
            UsageError: passerelle.toml names none for this model.
        """
        data, name = self.model.data, self.model.name
        if data is None:
            message = f"[models.{name}] in passerelle.toml has no data: [models.{name}.data] names its file and columns"
            raise UsageError(
                message, hint=f"passerelle train --model {shell_word(name)} --data FILE --text-column COLUMN --label-column COLUMN"
            )
        path = self.root / data.file
        columns = data.feature_columns or None
        return read_data(
            path,
            text_column=data.text_columns,
            label_column=data.label_column,
            feature_columns=columns,
            optional_text_columns=data.optional_text_columns,
        )


def read_training_project(root: Path, registered_model: str | None = None) -> TrainingProject:
    """Return what `training/candidates.py` and `training/params.py` of a project define, or those of a model's own folder.

    Args:
        root: The project's root folder.
        registered_model: To be trained; by default the one of the project's settings, whose data and folder a name without a table has too.

    Raises:
        UsageError: One of the files is missing, cannot be imported, or lacks `candidates_for` or `PARAMS`.
    """
    file = read_project_file(root)
    model = (file.model(registered_model) if registered_model else None) or file.models[0]
    folder = (root.resolve() / model.training).resolve()
    check_training_folder(folder)
    candidates, params = _module(folder / "candidates.py"), _module(folder / "params.py")
    found = getattr(candidates, "candidates_for", None)
    if not callable(found):
        raise UsageError(f"{folder / 'candidates.py'} defines no function candidates_for", hint=_NEW_PROJECT)
    figures = getattr(params, "PARAMS", None)
    if not isinstance(figures, Params):
        raise UsageError(f"{folder / 'params.py'} defines no PARAMS of the class passerelle.training.params.Params", hint=_NEW_PROJECT)
    return TrainingProject(folder, found, figures, file, root.resolve(), model)


def _module(path: Path) -> ModuleType:
    """Import a file of the project; two projects in one process do not share modules."""
    name = f"{path.parent.name}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # noqa: S101 - a path that ends in .py always has a loader
    module = importlib.util.module_from_spec(spec)
    parent = str(path.parent.parent)
    sys.path.insert(0, parent)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"{path} cannot be imported: {type(error).__name__}: {error}", hint=f"python {shell_word(path)}") from error
    finally:
        sys.path.remove(parent)
    return module
