"""Writes a model's files once: what `mlflow.models.Model.log` takes in place of the module `mlflow.sklearn`."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import mlflow.sklearn
import orjson
import skops.io
import skops.io._persist as skops_persist
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from skops.io.exceptions import UntrustedTypesFoundException

from passerelle.model.manifest import digest_of_manifest, digests_of_files

_NOT_PRINTABLE_ASCII = re.compile(r"[^\x00-\x7e]")


class UnsavableError(Exception):
    """A pipeline that skops cannot write, or that holds types which its candidate does not declare."""


class ModelWriter:
    """Saves a scikit-learn pipeline as `mlflow.sklearn` does, and remembers what it wrote.

    `mlflow.sklearn.log_model` loads the model that it has just saved, to send the input example through it. Reading a skops file takes
    seconds for a hundred thousand n-grams, and the golden predictions test the model on more than one record, so this is switched off; only
    `Model.log` has a switch for it, which `mlflow.sklearn.save_model` does not accept.

    Attributes:
        digest: SHA-256 of the files as they were written, before they were sent.
        size_bytes: As MLflow counts them.
    """

    digest = ""
    size_bytes = 0

    def save_model(self, *, path: str, mlflow_model: Model, validate_serving_input: bool, **arguments: Any) -> None:
        """Write the files; `Model.log` calls this, and uploads the folder unchanged.

        Args:
            path: Folder of the model; it is made here.
            mlflow_model: Its description, which is completed here.
            validate_serving_input: Meant for `Model.log` alone.
            arguments: Those of `mlflow.sklearn.save_model`.
        """
        assert not validate_serving_input  # noqa: S101 - Model.log could change the files after this
        try:
            with fast_schema(), types_checked_alone():
                mlflow.sklearn.save_model(path=path, mlflow_model=mlflow_model, **arguments)
        except MlflowException as error:
            raise UnsavableError(str(error)) from error
        self.digest = digest_of_manifest({"files": digests_of_files(Path(path))})
        self.size_bytes = int(mlflow_model.model_size_bytes or 0)


@contextlib.contextmanager
def fast_schema() -> Iterator[None]:
    """Let skops write the same files in less time.

    It indents its schema, which the standard library does without its C code: two thirds of the time of writing a hundred thousand n-grams.
    """
    skops_persist.json = _FastJson
    try:
        yield
    finally:
        skops_persist.json = json


@contextlib.contextmanager
def types_checked_alone() -> Iterator[None]:
    """Let MLflow find types that are not trusted in the file that it has written, without building all of the model again.

    Registration loads the file, and holds it to the golden predictions.
    """
    load = skops.io.load
    skops.io.load = _check_types
    try:
        yield
    finally:
        skops.io.load = load


def _check_types(file: str, trusted: Sequence[str] | None = None) -> None:
    """Check that a skops file names trusted types alone; raises what `skops.io.load` raises otherwise."""
    untrusted = set(skops.io.get_untrusted_types(file=file)) - set(trusted or ())
    if untrusted:
        raise UntrustedTypesFoundException(untrusted)


class _FastJson:
    """What skops uses of the module `json` to write a schema, which holds no floating-point numbers but in strings."""

    @staticmethod
    def dumps(content: object, *, indent: int) -> str:
        """Return what `json.dumps` returns."""
        assert indent == 2  # noqa: S101, PLR2004 - as skops writes it
        try:
            text = orjson.dumps(content, option=orjson.OPT_INDENT_2).decode()
        except orjson.JSONEncodeError:  # a surrogate, or a number of more than 64 bits
            return json.dumps(content, indent=indent)
        return text if text.isascii() and "\x7f" not in text else _NOT_PRINTABLE_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text)
