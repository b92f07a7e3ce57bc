"""Runs and model versions as the registry holds them, and the pages that MLflow lists them in."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.store.entities import PagedList
from mlflow.utils import get_results_from_paginated_fn

from passerelle.errors import UsageError
from passerelle.model.version_tags import unpacked
from passerelle.names import ADOPTION_RUN, CANDIDATE, KIND, ModelVersionRef

#: Entities that one request asks for.
PAGE_SIZE = 1_000
#: The clock of a machine that trains may be a day ahead of this one's, which may be a day behind.
_CLOCKS_DIFFER_S = 2 * 86_400
_Listed = TypeVar("_Listed")


@dataclass(frozen=True)
class CandidateRun:
    """One candidate's finished run.

    Attributes:
        metrics: As logged; names as in docs/01-train.md.
        params: As logged; MLflow does not allow one to be changed afterwards.
    """

    run_id: str
    name: str
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    status: str
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class VersionInfo:
    """A model version as the registry holds it.

    Attributes:
        tags: Also those that the version's record holds.
        ref: Its run is the one that holds what passerelle keeps of the version: of an adopted version, the run of the adoption.
        logged_by: The run that logged the model; empty where there is none.
    """

    ref: ModelVersionRef
    tags: Mapping[str, str]
    stage: str
    source: str
    created: int
    aliases: tuple[str, ...] = field(default=())
    logged_by: str = ""


def candidate(run: Run) -> CandidateRun:
    """Convert a run of MLflow."""
    name = run.data.tags.get(CANDIDATE, run.info.run_name)
    data = run.data
    return CandidateRun(run.info.run_id, name, dict(data.metrics), dict(data.tags), run.info.status, dict(data.params))


def version_info(version: ModelVersion) -> VersionInfo:
    """Convert a model version of MLflow."""
    tags, run_id = unpacked(version.tags), version.run_id or ""
    return VersionInfo(
        ModelVersionRef(version.name, int(version.version), tags.get(ADOPTION_RUN, run_id)),
        tags,
        version.current_stage or "None",
        version.source or "",
        int(version.creation_timestamp),
        tuple(version.aliases),
        run_id,
    )


def finished_trainings(tags: Mapping[str, str]) -> str:
    """Return the query for the finished parent runs with these tags; a run that is dated further ahead than clocks differ is none."""
    latest_ms = int((time.time() + _CLOCKS_DIFFER_S) * 1_000)
    conditions = ["attributes.status = 'FINISHED'", f"attributes.start_time < {latest_ms}"]
    return " and ".join([having({KIND: "training"}), *conditions, *([having(tags)] if tags else [])])


def having(tags: Mapping[str, str]) -> str:
    """Return the query for what has all these tags.

    Raises:
        UsageError: As for `quoted`.
    """
    return " and ".join(f"tags.`{key}` = {quoted(value)}" for key, value in tags.items())


def quoted(value: str) -> str:
    """Return the value as MLflow's queries take it: within the quotes that it does not hold, for a doubled quote stays two.

    Raises:
        UsageError: The value holds quotes of both kinds.
    """
    if "'" not in value:
        return f"'{value}'"
    if '"' in value:
        raise UsageError(f"MLflow cannot search for {value}, which holds both ' and \"")
    return f'"{value}"'


def all_pages(search: Callable[..., PagedList[_Listed]], *args: object, order_by: str) -> list[_Listed]:
    """Return everything that a search of `MlflowClient` finds, over all its pages.

    Args:
        args: Passed to the search.
        order_by: An order in which new entities come last: a page token is an offset, and MLflow's own order puts first what was
            changed last, so that a change between two requests would hide an entity.
    """
    found: list[_Listed] = get_results_from_paginated_fn(  # type: ignore[no-untyped-call]
        lambda size, token: search(*args, max_results=size, order_by=[order_by], page_token=token), PAGE_SIZE
    )
    return found
