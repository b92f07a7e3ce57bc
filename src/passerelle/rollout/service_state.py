"""The services that run on this machine, one a registered model, as their state files tell: known without importing BentoML."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from passerelle.errors import SeveralModelsError
from passerelle.names import bento_name
from passerelle.platform.private_file import write_private
from passerelle.platform.state import ProcessMark
from passerelle.regular_file import read_json_file

FOLDER = "services"
#: The next commands where no service runs.
NO_SERVICE = "passerelle deploy\npasserelle monitor --address URL"


@dataclass(frozen=True)
class RunningService:
    """A service on this machine.

    Attributes:
        bento_tag: With what tells it from another service of the same bento after a `#`.
        registered_model: Whose version it started with.
        started_by: The command: deploy, up or serve.
    """

    address: str
    bento_tag: str
    model_version: str
    mark: ProcessMark
    registered_model: str
    started_by: str = "deploy"

    @property
    def tag(self) -> str:
        """The tag of its bento."""
        return self.bento_tag.partition("#")[0]


def state_path(state_dir: Path, registered_model: str) -> Path:
    """Return the file of a registered model's service."""
    return state_dir.resolve() / FOLDER / f"{bento_name(registered_model)}.json"


def remember(state_dir: Path, service: RunningService) -> None:
    """Write the file of a service."""
    path = state_path(state_dir, service.registered_model)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, json.dumps(asdict(service), indent=1))


def forget(state_dir: Path, service: RunningService) -> None:
    """Remove the file of a service, unless another service has taken its place."""
    path = state_path(state_dir, service.registered_model)
    found = _read(path)
    if found is None or found.mark == service.mark:
        path.unlink(missing_ok=True)


def is_recorded(state_dir: Path, registered_model: str, pid: int) -> bool:
    """Return whether a model's file names the service of this process, and no other one that replaced it."""
    found = _read(state_path(state_dir, registered_model))
    return found is not None and found.mark.pid == pid


def running_service(state_dir: Path, registered_model: str) -> RunningService | None:
    """Return the service of a registered model that was started here and still runs, or None."""
    service = _read(state_path(state_dir, registered_model))
    return service if service is not None and service.mark.alive() else None


def recorded_services(state_dir: Path) -> Iterator[RunningService]:
    """Yield the services that were started here last, one a registered model, whether they still run or not."""
    found = (_read(path) for path in sorted((state_dir.resolve() / FOLDER).glob("*.json")))
    yield from (service for service in found if service is not None)


def running_services(state_dir: Path) -> Mapping[str, RunningService]:
    """Return the services that run here by the names of their registered models."""
    return {service.registered_model: service for service in recorded_services(state_dir) if service.mark.alive()}


def chosen_service(state_dir: Path, registered_model: str | None) -> RunningService | None:
    """Return the running service of a registered model, or the only one that runs here; None where there is none.

    Raises:
        SeveralModelsError: Several models are served here, and none was named.
    """
    if registered_model is not None:
        return running_service(state_dir, registered_model)
    running = running_services(state_dir)
    if len(running) > 1:
        raise SeveralModelsError("several models are served here", tuple(running))
    return next(iter(running.values()), None)


def _read(path: Path) -> RunningService | None:
    try:
        content = read_json_file(path)
        return RunningService(**(content | {"mark": ProcessMark(**content["mark"])}))
    except (OSError, ValueError, KeyError, TypeError):
        return None
