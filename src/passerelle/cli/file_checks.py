"""What can be seen of the files and addresses that a command names, checked before any server is asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from passerelle.cli import prerequisites
from passerelle.errors import OutsideError

if TYPE_CHECKING:
    from passerelle.stages.train_options import TrainingData

# Each check imports its own late, so that `--help` answers at once.
# ruff: noqa: PLC0415

Options = Mapping[str, Any]


def train_options(options: Options) -> None:
    """Check the project, the data and the address of the cluster of `train`.

    Raises:
        UsageError: The folder is no project, columns are named and no file is, no column is, or the address is none.
        DataError: There is no such file, it is a folder, or it cannot be read.
    """
    from passerelle.project_file import check_training_folder, read_project_file

    if options["address"] is not None:
        from passerelle.batch.ray_cluster import check_address

        check_address(options["address"], hint="passerelle train --address auto")
    root, name = options["project"].resolve(), options["registered_model"]
    file = read_project_file(root)
    model = (file.model(name) if name else None) or file.models[0]
    check_training_folder((root / model.training).resolve())
    data = _training_data(options)
    data.check()
    if not (data.names_records and data.label_column):
        _read(data)


def training_registry(options: Options) -> None:
    """Check as `registry`; what is wrong with the file of the data is said before a server is missed.

    Raises:
        UsageError: The file lacks a column that was named, or cannot be trained on.
        OutsideError: As `registry`.
    """
    try:
        prerequisites.registry(options)
    except OutsideError:
        _read(_training_data(options))
        raise


def reproduction_data(options: Options) -> None:
    """Check the file of the data of `reproduce`.

    Raises:
        UsageError: As `TrainingData.check`.
    """
    _training_data(options).check()


def adopt_options(options: Options) -> None:
    """Check the address of the model, and the files that say what it does not.

    Raises:
        UsageError: The address is of no known form, or two options say the same thing.
        NotFoundError: A file is missing.
    """
    from passerelle.registry.model_address import parse_address
    from passerelle.stages.adopt_options import AdoptOptions, one_text

    parse_address(options["address"])
    named = {field.name: options[field.name] for field in dataclasses.fields(AdoptOptions) if field.name != "text_column"}
    AdoptOptions(**named, text_column=one_text(options["text_columns"], options["address"])).check()


def model_address(options: Options) -> None:
    """Check the address of the model of `convert`.

    Raises:
        UsageError: It is of no known form.
    """
    from passerelle.registry.model_address import parse_address

    parse_address(options["address"])


def erasure_ids(options: Options) -> None:
    """Check the ids of the answers to erase.

    Raises:
        UsageError: There are none or too many, one is no id of an answer, or their file cannot be read.
    """
    from passerelle.stages.erase_options import ids_to_erase

    ids_to_erase(options["prediction_ids"], options["file"])


def _training_data(options: Options) -> TrainingData:
    from passerelle.stages.train_options import TrainingData

    fields = (field.name for field in dataclasses.fields(TrainingData) if field.name != "path")
    return TrainingData(path=options["data"], **{name: options[name] for name in fields if name in options})


def _read(data: TrainingData) -> None:
    """Read the file of this machine, if one is named, as the training does; raises what is wrong with it."""
    if not isinstance(data.path, Path):
        return
    from passerelle.settings import S3Settings
    from passerelle.stages.training_file import read_file_of, repeating_options

    with repeating_options(vars(data)):
        read_file_of(data, data.path, S3Settings.read())
