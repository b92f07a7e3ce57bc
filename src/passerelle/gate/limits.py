"""Whether a figure keeps to its limit, as MLflow judges it."""

from __future__ import annotations

import logging

from mlflow import validate_evaluation_results
from mlflow.models.evaluation import EvaluationResult, MetricThreshold
from mlflow.models.evaluation.validation import ModelValidationFailedException

_TALKATIVE = "mlflow.models.evaluation.validation"


def within(value: float, limit: float, *, at_least: bool) -> bool:
    """Return what `mlflow.validate_evaluation_results` says of one figure; one that is no number keeps to no limit."""
    logger = logging.getLogger(_TALKATIVE)
    level = logger.level
    logger.setLevel(logging.ERROR)
    threshold = MetricThreshold(threshold=limit, greater_is_better=at_least)  # type: ignore[no-untyped-call]
    try:
        validate_evaluation_results({"figure": threshold}, EvaluationResult({"figure": value}, {}))  # type: ignore[no-untyped-call]
    except ModelValidationFailedException:
        return False
    finally:
        logger.setLevel(level)
    return True
