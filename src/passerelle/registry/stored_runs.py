"""The runs and logged models whose artifacts the bucket holds, what MLflow says of each, and which of them somebody needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import unquote

from mlflow.entities import Run, ViewType
from mlflow.store.entities import PagedList

from passerelle.errors import IntegrityError, NotFoundError
from passerelle.names import PARENT_RUN
from passerelle.registry.client import Registry
from passerelle.registry.object_versions import ObjectVersion, VersionedObjects

ARTIFACTS, LEDGERS = "mlflow/", "ledger/"
DELETED, ACTIVE, UNKNOWN = "deleted", "active", "unknown"
#: Larger than any object of a ledger.
_MOST_BYTES = 1 << 20
_PAGE_SIZE = 1_000
#: `mlflow/<experiment>/<run>/…`, or `mlflow/<experiment>/models/m-<id>/…`.
_PLACE = re.compile(r"(mlflow/[^/]+/(?:models/m-)?([0-9a-f]{32})/)")
_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_Listed = TypeVar("_Listed")


@dataclass
class StoredRun:
    """A run, or a logged model, with what the bucket keeps of it.

    Attributes:
        identifier: Of the run; of a logged model, without `m-`.
        folder: What the names of its objects begin with.
        versions: All versions of them, and markers.
        model: Whether it is a logged model.
    """

    identifier: str
    folder: str
    model: bool
    versions: list[ObjectVersion] = field(default_factory=list)

    @property
    def name(self) -> str:
        """How MLflow names it."""
        return f"model m-{self.identifier}" if self.model else f"run {self.identifier}"

    def visible(self) -> list[ObjectVersion]:
        """Return the objects that a reader finds now."""
        return [each for each in self.versions if each.current and not each.marker]

    def markers(self) -> list[ObjectVersion]:
        """Return the markers that hide its objects now."""
        return [each for each in self.versions if each.current and each.marker]


@dataclass(frozen=True)
class RunStates:
    """What MLflow knows of all runs and logged models.

    Attributes:
        runs: The state of each run, and the run that it is a part of.
        makers: Of each logged model that is not deleted: the run that logged it, or nothing.
    """

    runs: Mapping[str, tuple[str, str]]
    makers: Mapping[str, str]

    def state(self, stored: StoredRun) -> str:
        """Return `active`, `deleted` or `unknown`; a logged model goes with the run that logged it."""
        if not stored.model:
            return self.runs.get(stored.identifier, (UNKNOWN, ""))[0]
        maker = self.makers.get(stored.identifier)
        if maker is None:
            return UNKNOWN
        return self.runs.get(maker, (ACTIVE, ""))[0]


def stored_runs(bucket: VersionedObjects) -> dict[str, StoredRun]:
    """Return what lies below `mlflow/`, by its folder; objects of no run and no logged model are left out."""
    found: dict[str, StoredRun] = {}
    listed = bucket.object_versions(ARTIFACTS) if bucket.keeps_versions() else bucket.present_objects(ARTIFACTS)
    for version in listed:
        place = _PLACE.match(version.key)
        if place is not None:
            folder, identifier = place[1], place[2]
            found.setdefault(folder, StoredRun(identifier, folder, "/models/m-" in folder)).versions.append(version)
    return found


def run_states(registry: Registry) -> RunStates:
    """Return what MLflow knows.

    Raises:
        OutsideError: MLflow does not answer.
    """
    with registry.mlflow("the runs of all experiments") as client:
        experiments = [
            str(each.experiment_id)
            for each in _pages(lambda token: client.search_experiments(view_type=ViewType.ALL, max_results=_PAGE_SIZE, page_token=token))
        ]
        runs: dict[str, tuple[str, str]] = {}
        makers: dict[str, str] = {}
        for experiment in experiments:
            for run in _runs(client.search_runs, experiment):
                runs[run.info.run_id] = (run.info.lifecycle_stage, run.data.tags.get(PARENT_RUN, ""))
            for model in _pages(
                lambda token, one=experiment: client.search_logged_models([one], max_results=100, page_token=token)  # type: ignore[misc]
            ):
                makers[str(model.model_id).removeprefix("m-")] = str(model.source_run_id or "")
    return RunStates(runs, makers)


def _runs(search: Callable[..., PagedList[Run]], experiment: str) -> Iterator[Run]:
    # In an order in which new runs come last: a page token is an offset.
    yield from _pages(
        lambda token: search([experiment], "", ViewType.ALL, max_results=_PAGE_SIZE, order_by=["start_time ASC"], page_token=token)
    )


def _pages(page: Callable[[str | None], PagedList[_Listed]]) -> Iterator[_Listed]:
    token: str | None = None
    while True:
        some = page(token)
        yield from some
        token = some.token
        if not token:
            return


def needed_runs(registry: Registry, bucket: VersionedObjects, states: RunStates) -> dict[str, str]:
    """Return the runs and logged models that somebody needs, each with who does, in words.

    Whatever 32 hexadecimal digits a version, a registered model or an object of a ledger holds counts as named, so that a format which
    is not known here keeps what it names.

    Raises:
        IntegrityError: An object of a ledger is too large to be one.
        OutsideError: MLflow or S3 does not answer.
    """
    needed: dict[str, str] = {}
    for who, text in (*_registered(registry), *_ledgers(bucket)):
        for identifier in _ID.findall(text):
            needed.setdefault(identifier, who)
    _add_relatives(needed, states)
    return needed


def _add_relatives(needed: dict[str, str], states: RunStates) -> None:
    """Add the run that logged a needed model, the models of a needed run, and the runs that these are a part of."""
    for model, maker in states.makers.items():
        if maker and model in needed:
            needed.setdefault(maker, needed[model])
    for identifier in list(needed):
        parent = states.runs.get(identifier, ("", ""))[1]
        while parent and parent not in needed:
            needed[parent] = needed[identifier]
            parent = states.runs.get(parent, ("", ""))[1]
    for model, maker in states.makers.items():
        if maker in needed:
            needed.setdefault(model, needed[maker])


def _registered(registry: Registry) -> Iterator[tuple[str, str]]:
    """Yield each version and each registered model in words, with all that MLflow holds of it."""
    with registry.mlflow("the registered models") as client:
        for version in _pages(
            lambda token: client.search_model_versions(max_results=_PAGE_SIZE, order_by=["creation_timestamp ASC"], page_token=token)
        ):
            content = (version.run_id, version.source, version.model_id, dict(version.tags), version.description)
            yield f"version {version.version} of {version.name}", repr(content)
        for model in _pages(lambda token: client.search_registered_models(max_results=100, page_token=token)):
            yield f"the registered model {model.name}", repr((dict(model.tags), model.description))


def _ledgers(bucket: VersionedObjects) -> Iterator[tuple[str, str]]:
    for key in bucket.keys(LEDGERS):
        try:
            content = bucket.read(key, most_bytes=_MOST_BYTES)[0]
        except NotFoundError:
            continue  # a lock that was released meanwhile
        except IntegrityError as error:
            raise IntegrityError(f"{error.message}; what it names is not known, and nothing is removed", hint=error.hint) from error
        yield f"the ledger of {unquote(key.split('/')[1])}", key + " " + content.decode(errors="replace")


def models_to_lock(registry: Registry, bucket: VersionedObjects) -> Iterable[str]:
    """Return the names of the registered models that are promoted, or were: in MLflow, and in the ledgers."""
    with registry.mlflow("the registered models") as client:
        names = {str(each.name) for each in _pages(lambda token: client.search_registered_models(max_results=100, page_token=token))}
    return sorted(names | {unquote(key.split("/")[1]) for key in bucket.keys(LEDGERS) if key.count("/") > 1})
