"""What is said when a cluster cannot fit the candidates; tests/integration/test_ray.py has a real one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from passerelle.errors import OutsideError, UsageError
from passerelle.stages.train_on_cluster import FitsOnCluster
from passerelle.training.cross_validation import LabelledRecords, nothing_before

DATA = LabelledRecords(pd.DataFrame({"text": ["a", "b"]}), np.array(["x", "y"]))
FOLDS = [(np.array([0]), np.array([1]))]


class RayError(Exception):
    pass


class RayTaskError(RayError):
    def __init__(self, cause: Exception | None) -> None:
        super().__init__("task")
        self.cause = cause


class Ray:
    """Stands in for the module: each task ends with this error."""

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(self, error: Exception) -> None:
        self.error = error

    def put(self, content: object) -> object:
        return content

    def remote(self, **_: object) -> Any:
        return lambda _: SimpleNamespace(remote=lambda *_: None)

    def get(self, _: object) -> object:
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (RayError("node died"), OutsideError, "was lost 4 times"),
        (RayTaskError(ModuleNotFoundError("No module named 'skops'")), OutsideError, "No module named 'skops'"),
        (RayTaskError(None), OutsideError, "could not fit the candidates"),
        (RayTaskError(UsageError("a node of the cluster has numpy 1")), UsageError, "has numpy 1"),
    ],
)
def test_a_failure_is_told_in_words(error: Exception, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        list(FitsOnCluster(Ray(error)).of_folds([], DATA, FOLDS, nothing_before))
    with pytest.raises(kind, match=words):
        list(FitsOnCluster(Ray(error)).of_all([], DATA, DATA.records, nothing_before))
