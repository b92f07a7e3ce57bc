"""Runs in MLflow: opened, filled and ended with the state that they deserve."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import boto3.exceptions
import botocore.exceptions
import mlflow
import mlflow.models
import mlflow.sklearn
import pandas as pd
import requests
from matplotlib.figure import Figure
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.models.signature import infer_signature
from mlflow.tracking._tracking_service.utils import _use_tracking_uri
from mlflow.types import ColSpec, DataType, Schema
from pandas.api.types import is_numeric_dtype
from sklearn.pipeline import Pipeline

from passerelle.errors import OutsideError, UsageError
from passerelle.model.figures_digest import figures_digest
from passerelle.model.manifest import digest_of_file
from passerelle.model.record import EXAMPLES
from passerelle.names import DIGEST_PARAM, FIGURES_PARAM, LOGGED_MODEL, OPTIONAL_TEXTS
from passerelle.proxy_variables import past_proxy, through_proxy
from passerelle.training.dataset import Dataset
from passerelle.training.model_writer import ModelWriter

#: Name of the model in its run.
MODEL = "model"
#: MLflow shows this tag of an experiment or a run as its description, in Markdown.
_DESCRIPTION = "mlflow.note.content"
_EXPERIMENT = (
    "Trainings of passerelle: each is a parent run with the data, and a run for each candidate with its figures, plots and model. "
    "`passerelle compare` ranks the candidates of the latest by the criteria."
)
_REQUIREMENTS = ("scikit-learn", "skops", "numpy", "scipy", "pandas")
_REACH_TIMEOUT_S = 5
_LONGEST_PARAMETER = 500
_QUIET = {
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
}
#: MLflow writes it for child processes while an address is set.
_SET_BY_MLFLOW = ("MLFLOW_TRACKING_URI",)
_FAILURES = (
    MlflowException,
    requests.RequestException,
    botocore.exceptions.BotoCoreError,
    botocore.exceptions.ClientError,
    boto3.exceptions.Boto3Error,
)


@contextlib.contextmanager
def tracked(tracking_uri: str, experiment: str) -> Iterator[str]:
    """Send the runs inside to this server, and print nothing on the terminal; give the experiment's id.

    Raises:
        UsageError: The experiment was deleted.
        OutsideError: The server or its artifact store does not answer, or refuses.
    """
    _check_reachable(tracking_uri)
    logger = logging.getLogger("mlflow")
    level, environment = logger.level, {name: os.environ.get(name) for name in (*_QUIET, *_SET_BY_MLFLOW)}
    os.environ.update(_QUIET)
    logger.setLevel(logging.ERROR)
    try:
        with _use_tracking_uri(tracking_uri):
            yield _experiment_id(experiment)
    except _FAILURES as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        hint = "passerelle status"
        raise OutsideError(f"MLflow at {tracking_uri} did not take the training: {line}", hint=hint) from error
    finally:
        logger.setLevel(level)
        for name, value in environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def run(name: str, tags: Mapping[str, str], *, experiment_id: str, nested: bool = False) -> Iterator[str]:
    """Give the id of a run that ends FINISHED, FAILED when the body raises, KILLED when it is interrupted."""
    tags = {"mlflow.source.name": "passerelle.training.train", "mlflow.source.type": "LOCAL", **tags}
    started = mlflow.start_run(experiment_id=experiment_id, run_name=name, tags=tags, nested=nested)
    status = "FAILED"
    try:
        yield str(started.info.run_id)
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    finally:
        # When the server is what failed, the first error says more than the one about the run's end.
        with contextlib.nullcontext() if status == "FINISHED" else contextlib.suppress(*_FAILURES):
            mlflow.end_run(status)


def log_dataset(data: Dataset, records: pd.DataFrame, labels: pd.Series, *, context: str) -> None:
    """Log the records as the run's input, under the data's digest and the file's name."""
    table = records.assign(label=labels)
    digest = data.digest.removeprefix("sha256:")[:32]  # MLflow takes up to 36 characters
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow has two readings of a file's name, which come to the same
        logged = from_pandas(table, source=data.source, targets="label", name=data.source, digest=digest)
    mlflow.log_input(logged, context=context)


def log_figures(metrics: Mapping[str, float]) -> None:
    """Log the figures of a candidate, and their digest, by which `compare` notices that somebody changed one."""
    mlflow.log_metrics(dict(metrics))
    mlflow.log_param(FIGURES_PARAM, figures_digest(metrics))


def log_files(files: Mapping[str, object], *, digests_of: Collection[str] = ()) -> dict[str, str]:
    """Log each value under its path, a table as Parquet, a figure as PNG, else JSON; return the parameters that hold digests.

    Args:
        digests_of: Paths of those that registration compares with what was written here.
    """
    with tempfile.TemporaryDirectory(prefix="passerelle-train-") as folder:
        for name, content in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, pd.DataFrame):
                content.to_parquet(path, index=False)
            elif isinstance(content, Figure):
                content.savefig(path)
            elif content is not None:
                path.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
        mlflow.log_artifacts(folder)
        # As parameters: unlike tags, MLflow does not allow those of a run to be changed.
        digests = {f"{DIGEST_PARAM}{name}": digest_of_file(Path(folder, name)) for name in digests_of}
        mlflow.log_params(digests)
    return digests


def describe_run(run_id: str, text: str, pictures: Sequence[str], *, experiment_id: str) -> None:
    """Give the run a description that links pictures among its artifacts; MLflow shows no picture in a description.

    Args:
        pictures: Their paths.
    """
    pages = f"#/experiments/{experiment_id}/runs/{run_id}/artifacts"
    links = [f"[{path.removesuffix('.png').replace('_', ' ')}]({pages}/{path})" for path in pictures]
    mlflow.set_tag(_DESCRIPTION, "\n\n".join([text, *([" · ".join(links)] if links else [])]))


def log_model(pipeline: Pipeline, records: pd.DataFrame, *, trusted_types: Sequence[str], optional_texts: Sequence[str] = ()) -> int:
    """Log the fitted pipeline in the skops format with signature, example and pinned requirements; return its bytes.

    The digest of its files is a parameter of the run, for registration to compare with what lies there then.

    Args:
        records: What it learned from; only their columns and types are logged.
        optional_texts: Fields that a record may leave out; the model was given an empty text for them.

    Raises:
        MlflowException: The pipeline holds a type that neither skops nor `trusted_types` trusts.
    """
    writer = ModelWriter()
    mlflow.models.Model.log(
        None,
        writer,
        name=MODEL,
        flavor_name=mlflow.sklearn.__name__,
        validate_serving_input=False,
        sk_model=pipeline,
        serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_SKOPS,
        skops_trusted_types=list(trusted_types),
        signature=signature_of(records.head(1), optional_texts),
        metadata={OPTIONAL_TEXTS: list(optional_texts)} if optional_texts else None,
        input_example=made_up(records),
        pip_requirements=[f"{name}=={version(name)}" for name in _REQUIREMENTS],
    )
    mlflow.log_param(f"{DIGEST_PARAM}{LOGGED_MODEL}", writer.digest)
    return writer.size_bytes


def made_up(records: pd.DataFrame) -> pd.DataFrame:
    """Return one record with these columns that is none of the data: the input example is shown to everybody who may reach the service."""
    columns = {
        name: pd.Series([EXAMPLES["double"]]).astype(column.dtype)
        if is_numeric_dtype(column.dtype)
        else pd.Series([EXAMPLES["string"]], dtype=object)
        for name, column in records.items()
    }
    return pd.DataFrame(columns)


def signature_of(example: pd.DataFrame, optional: Sequence[str] = ()) -> ModelSignature:
    """Return the signature: the record's columns with their types in, one string (the label) out.

    Args:
        optional: Columns that a record may leave out.
    """
    inputs = infer_signature(example).inputs
    if optional:
        inputs = Schema([ColSpec(each.type, each.name, required=each.name not in optional) for each in inputs.inputs])
    return ModelSignature(inputs=inputs, outputs=Schema([ColSpec(DataType.string)]))


def check_experiment(tracking_uri: str, name: str) -> None:
    """Check that a training can add runs to this experiment, which need not be there yet.

    Raises:
        UsageError: It was deleted.
    """
    with _use_tracking_uri(tracking_uri):
        found = mlflow.get_experiment_by_name(name)
    if found is not None:
        _active(found, name)


def _experiment_id(name: str) -> str:
    found = mlflow.get_experiment_by_name(name)
    if found is None:
        try:
            return str(mlflow.create_experiment(name, tags={_DESCRIPTION: _EXPERIMENT}))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = mlflow.get_experiment_by_name(name)  # another training was quicker
    return _active(found, name)


def _active(found: Experiment | None, name: str) -> str:
    if found is None or found.lifecycle_stage != "active":
        restore = f"mlflow experiments restore --experiment-id {found.experiment_id}" if found else "passerelle train"
        raise UsageError(f"the experiment '{name}' is deleted", hint=f"{restore}\npasserelle train --experiment NAME")
    return str(found.experiment_id)


def _check_reachable(tracking_uri: str) -> None:
    """Fail in seconds where MLflow's own retries take minutes."""
    if not tracking_uri.startswith(("http://", "https://")):
        return
    try:
        requests.get(f"{tracking_uri.rstrip('/')}/health", timeout=_REACH_TIMEOUT_S).raise_for_status()
    except requests.RequestException as error:
        hint = past_proxy(tracking_uri, "passerelle up\nexport MLFLOW_TRACKING_URI=URL")
        raise OutsideError(f"MLflow does not answer at {tracking_uri}{through_proxy(tracking_uri)}", hint=hint) from error


def pipeline_params(pipeline: Pipeline) -> dict[str, str]:
    """Return the pipeline's own settings, without the objects that they belong to."""
    simple = (str, int, float, bool, tuple, type(None))
    return {name: str(value)[:_LONGEST_PARAMETER] for name, value in pipeline.get_params().items() if isinstance(value, simple)}
