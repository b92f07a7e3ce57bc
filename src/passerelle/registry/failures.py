"""Convert failures of MLflow and S3 to our errors, in one place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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
def mlflow_errors(what: str, *, hint: str | None = None) -> Iterator[None]:
    """Turn failures of MLflow and of S3 into ours, naming the object; the one place that does.

    Raises:
        NotFoundError: The object does not exist.
        OutsideError: MLflow or S3 does not answer, or refuses.
    """
    try:
        yield
    except _FAILURES as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        if getattr(error, "error_code", None) in _MISSING:
            raise NotFoundError(f"{what} does not exist", hint=hint or "passerelle status") from error
        if "NoSuchKey" in line or "(404)" in line:
            raise NotFoundError(f"{what} does not exist: {line}", hint=hint or "passerelle status") from error
        raise OutsideError(f"{what} cannot be reached: {line}", hint=hint or "passerelle status") from error


def parsed(content: bytes, *, of: str) -> dict[str, Any]:
    """Return a JSON object that passerelle wrote.

    Raises:
        IntegrityError: It is none: it was changed since.
    """
    try:
        return dict(json.loads(content))
    except (ValueError, TypeError, RecursionError) as error:
        hint = "passerelle rollback\npasserelle restore FILE"
        raise IntegrityError(f"{of} is no longer JSON: it was changed since it was written", hint=hint) from error
