"""Writes a model's files once: what `mlflow.models.Model.log` takes in place of the module `mlflow.sklearn`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow.sklearn
from mlflow.models import Model

from passerelle.model.manifest import digest_of_manifest, digests_of_files


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
        mlflow.sklearn.save_model(path=path, mlflow_model=mlflow_model, **arguments)
        self.digest = digest_of_manifest({"files": digests_of_files(Path(path))})
        self.size_bytes = int(mlflow_model.model_size_bytes or 0)
