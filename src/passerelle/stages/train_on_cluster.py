"""Fit the candidates of a training on a Ray cluster that runs already: one task a fold, and one for all records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import pandas as pd

from passerelle import __version__
from passerelle.batch.ray_cluster import INSTALL, STATUS, connected
from passerelle.errors import OutsideError, UsageError
from passerelle.training.candidate import FitFailure
from passerelle.training.cross_validation import (
    ALL,
    Before,
    CandidateFits,
    FitsHere,
    Fold,
    LabelledRecords,
    Outcome,
    nothing_before,
    outcomes_of_fold,
)
from passerelle.training.features import Fitted

#: How often a task is begun again whose node or process was lost.
_RETRIES = 3
#: With other versions, the same records give other figures.
_LIBRARIES = ("numpy", "scikit-learn", "scipy")


class FitsOnCluster:
    """Fits candidates on a cluster.

    Attributes:
        here: The version of each library that decides about figures; a node with another one is refused.

    Args:
        ray: The module, connected.
    """

    def __init__(self, ray: Any) -> None:
        self._ray, self.here = ray, _versions()

    def of_folds(self, pipelines: Sequence[Any], data: LabelledRecords, folds: Sequence[Fold], before: Before) -> Iterator[list[Outcome]]:
        """Yield what `CandidateFits.of_folds` describes; all folds are fitted at once, as far as the cluster has cores.

        Raises:
            UsageError: A node has other versions than this environment.
            OutsideError: A node or its process was lost too often, or the cluster is gone.
        """
        task, content = self._task(_fit_fold), self._ray.put(data)
        references = [task.remote(content, list(pipelines), fold, self.here) for fold in folds]
        for number, reference in enumerate(references, start=1):
            before(ALL, number)
            yield self._result(reference)

    def of_all(
        self, pipelines: Sequence[Any], data: LabelledRecords, scored: pd.DataFrame, before: Before
    ) -> Iterator[Fitted | FitFailure]:
        """Yield what `CandidateFits.of_all` describes: one task, since its candidates share their features.

        Raises:
            As `of_folds`.
        """
        reference = self._task(_fit_all).remote(self._ray.put(data), list(pipelines), scored, self.here)
        before(ALL, 0)
        yield from self._result(reference)

    def _task(self, function: Any) -> Any:
        return self._ray.remote(num_cpus=1, max_retries=_RETRIES)(function)

    def _result(self, reference: Any) -> Any:
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, UsageError):
                raise cause from error
            raise OutsideError(f"a node of the cluster could not fit the candidates: {_in_a_line(cause or error)}", hint=STATUS) from error
        except self._ray.exceptions.RayError as error:
            message = f"a node of the Ray cluster was lost {_RETRIES + 1} times, or the cluster is gone: {_in_a_line(error)}"
            raise OutsideError(message, hint=STATUS) from error


@contextmanager
def fits_at(address: str | None) -> Iterator[CandidateFits]:
    """Give where candidates are fitted: on the cluster at an address, or in this process.

    Raises:
        UsageError: As `connected`.
        OutsideError: As `connected`.
    """
    if address is None:
        yield FitsHere()
        return
    with connected(address) as ray:
        yield FitsOnCluster(ray)


def _fit_fold(data: LabelledRecords, pipelines: Sequence[Any], fold: Fold, versions: Mapping[str, str]) -> list[Outcome]:
    """Return the outcomes of a fold; runs on a node."""
    _check_versions(versions)
    return outcomes_of_fold(pipelines, data, fold, lambda _: None)


def _fit_all(
    data: LabelledRecords, pipelines: Sequence[Any], scored: pd.DataFrame, versions: Mapping[str, str]
) -> list[Fitted | FitFailure]:
    """Return each pipeline fitted on all records; runs on a node."""
    _check_versions(versions)
    return list(FitsHere().of_all(pipelines, data, scored, nothing_before))


def _check_versions(expected: Mapping[str, str]) -> None:
    for name, here in _versions().items():
        if here != expected[name]:
            message = f"a node of the cluster has {name} {here}, not {expected[name]}: its figures could differ"
            raise UsageError(message, hint=INSTALL)


def _versions() -> dict[str, str]:
    return {"passerelle": __version__, **{name: version(name) for name in _LIBRARIES}}


def _in_a_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[-500:]}"
