"""Failures of MLflow and of S3 in our own words, in one place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import boto3.exceptions
import botocore.exceptions
import requests
from mlflow.exceptions import MlflowException

from passerelle.errors import IntegrityError, NotFoundError, OutsideError

_MISSING = {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}
_FAILURES = (
    MlflowException,
    requests.RequestException,
    botocore.exceptions.BotoCoreError,
    botocore.exceptions.ClientError,
    boto3.exceptions.Boto3Error,
)


@contextmanager
def translated(what: str, *, hint: str | None = None) -> Iterator[None]:
    """Turn failures of MLflow and of S3 into ours, naming the object; the one place that does.

    Raises:
        NotFoundError: The object does not exist.
        OutsideError: MLflow or S3 does not answer, or refuses.
    """
    try:
        yield
    except _FAILURES as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        if getattr(error, "error_code", None) in _MISSING or "NoSuchKey" in line or "(404)" in line:
            raise NotFoundError(f"{what} does not exist: {line}", hint=hint or "passerelle status") from error
        raise OutsideError(f"{what} cannot be reached: {line}", hint=hint or "passerelle status") from error


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Turn what a reader says of broken JSON into ours, naming the object.

    Raises:
        IntegrityError: It cannot be read.
    """
    try:
        yield
    except (ValueError, TypeError, RecursionError) as error:
        raise IntegrityError(f"{what} cannot be read: {type(error).__name__}", hint="passerelle status") from error
