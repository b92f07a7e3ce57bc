"""Read the MLmodel file of a model without MLflow and without loading the model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from passerelle.errors import TRAIN_AGAIN, DamagedFileError, UsageError
from passerelle.model.adoption import Adoption, Task, read_adoption
from passerelle.model.flavors import FLAVORS
from passerelle.model.mlmodel_content import mlmodel_content
from passerelle.model.record import Column, columns_of
from passerelle.model.trust import refuse_links
from passerelle.names import OPTIONAL_TEXTS
from passerelle.regular_file import read_regular_file


@dataclass(frozen=True)
class ModelDescription:
    """What the MLmodel file says of a model, before anything is loaded.

    Attributes:
        model_file: The skops file, or the pickle where the operator trusts pickles, relative to the model's directory.
        columns: The record's fields, in the order of the signature.
        libraries: Version of each library at training, by name.
        example: A made-up record of these columns, for the documentation; the stored input example may be a citizen's own words.
        pickled: Whether it is a pickle.
        flavor: A name in `FLAVORS`, or the flavor that the process of an adopted model reads; empty for a model that cannot be described.
        adoption: What adoption recorded; None for a model that was registered by passerelle.
    """

    model_file: str
    columns: tuple[Column, ...]
    libraries: dict[str, str]
    signature: dict[str, Any]
    example: Mapping[str, object] | None
    pickled: bool = False
    flavor: str = ""
    adoption: Adoption | None = None

    @property
    def column_names(self) -> list[str]:
        """The names of the record's fields, in the order of the signature."""
        return [column.name for column in self.columns]

    @property
    def task(self) -> Task:
        """What the model does with a record; passerelle trains classifiers alone."""
        return "classification" if self.adoption is None else self.adoption.task

    @cached_property
    def label_names(self) -> Mapping[object, str] | None:
        """The name of each label, where adoption recorded names."""
        adoption = self.adoption
        return None if adoption is None or not adoption.labels else {json.loads(label): name for label, name in adoption.labels.items()}


def describe(folder: Path, *, scorer_alone: bool = False) -> ModelDescription:
    """Return what the directory's MLmodel file says, or of an adopted model the record of its adoption, which lies beside the directory.

    Args:
        scorer_alone: Whether the model's own file may be missing: a compiled model is served without it.

    Raises:
        UsageError: It has no flavor that can be served, it has no signature, or a column is of a type that no record can hold.
        IntegrityError: The model is a pickle, or its file lies outside of the directory or is a link.
    """
    refuse_links(folder)
    adoption = read_adoption(folder.parent)
    if adoption is not None:
        return _of_adoption(adoption)
    try:
        return _described(folder, scorer_alone=scorer_alone)
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise DamagedFileError(f"cannot parse {folder / 'MLmodel'}: {type(error).__name__}", hint=TRAIN_AGAIN) from error


def _described(folder: Path, *, scorer_alone: bool) -> ModelDescription:
    content = mlmodel_content(folder)
    entries, signature = content["flavors"], content.get("signature") or {}
    name = next((name for name in FLAVORS if isinstance(entries.get(name), dict)), None)
    if name is None:
        found, known = ", ".join(sorted(entries)) or "none", " and ".join(flavor.title for flavor in FLAVORS.values())
        way_out = f"log it with mlflow.{next(iter(FLAVORS))}.log_model"
        raise UsageError(f"the model's flavors are {found}: only {known} classifiers can be served; {way_out}")
    flavor, entry = FLAVORS[name], entries[name]
    file = flavor.describe(entry)
    target = (folder / file.path).resolve()
    if not file.path or folder.resolve() not in target.parents or not (target.is_file() or scorer_alone):
        raise DamagedFileError(f"the MLmodel file names '{file.path}', which is not a file of the model", hint=TRAIN_AGAIN)
    libraries = {**flavor.libraries(entry), **_pinned(folder / "requirements.txt")}
    optional = (content.get("metadata") or {}).get(OPTIONAL_TEXTS) or ()
    columns = tuple(replace(each, empty_without=each.name in optional) for each in columns_of(signature))
    example = {column.name: column.example for column in columns}
    return ModelDescription(file.path, columns, libraries, signature, example, pickled=file.pickled, flavor=name)


def _of_adoption(adoption: Adoption) -> ModelDescription:
    signature = dict(adoption.signature)
    columns = columns_of(signature, adopted=True)
    example = {column.name: column.example for column in columns}
    libraries = dict(adoption.libraries)
    return ModelDescription("", columns, libraries, signature, example, pickled=adoption.pickled, flavor=adoption.flavor, adoption=adoption)


def _pinned(path: Path) -> dict[str, str]:
    lines = read_regular_file(path).decode().splitlines() if path.is_file() else []
    pins: Iterator[tuple[str, str, str]] = (line.partition("==") for line in lines if "==" in line)
    return {name.strip(): pinned.partition(";")[0].strip() for name, _, pinned in pins}
