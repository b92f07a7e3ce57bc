"""What the running platform tells other processes, and what is left when it was killed."""

from __future__ import annotations

import json
import shlex
import signal
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from passerelle.errors import SettingsError
from passerelle.platform.private_file import write_private
from passerelle.regular_file import read_json_file

if TYPE_CHECKING:
    from passerelle.settings import S3Settings

# psutil, the settings and what ends processes are imported late: commands answer sooner where no state says that anything runs.

_SAME_START_S = 1.0


@dataclass(frozen=True)
class ProcessMark:
    """A process id with its start time, so that a pid used again is not taken for the old one."""

    pid: int
    started: float

    def __post_init__(self) -> None:
        if type(self.pid) is not int or self.pid < 1 or not isinstance(self.started, int | float):
            raise TypeError("not a process id and the time at which the process started")

    @classmethod
    def of(cls, pid: int) -> ProcessMark:
        """Return the mark of a running process."""
        import psutil  # noqa: PLC0415 - slow to import, and only a process that is looked at needs it

        return cls(pid, psutil.Process(pid).create_time())

    def alive(self) -> bool:
        """Return whether this very process still runs."""
        import psutil  # noqa: PLC0415 - as above

        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.started) < _SAME_START_S and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


@dataclass(frozen=True)
class RunningPlatform:
    """The embedded platform as other processes see it.

    Attributes:
        tracking_uri: Address of the MLflow server.
        s3: How to reach the S3 server.
        environment: The variables that mlflow, bentoml and boto3 read.
        owner: The process that started it.
    """

    tracking_uri: str
    s3: S3Settings
    environment: Mapping[str, str]
    owner: ProcessMark


def own_environment(state_dir: Path) -> dict[str, str]:
    """Return the variables that hold whether the platform runs or not: the BentoML store, and no telemetry."""
    return {
        "BENTOML_HOME": str(state_dir.resolve() / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def exports(environment: Mapping[str, str]) -> str:
    """Return shell lines that put the environment into a shell."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(environment.items()))


def platform_folder(state_dir: Path) -> Path:
    """Return the folder of the embedded platform."""
    return state_dir.resolve() / "platform"


def _state_path(state_dir: Path) -> Path:
    return platform_folder(state_dir) / "platform.json"


def write_state(state_dir: Path, platform: RunningPlatform, children: Mapping[str, int], *, ready: bool) -> None:
    """Record the platform, readable by its owner alone: it holds the S3 keys.

    Args:
        children: Process ids, to end them after a crash.
        ready: Whether both servers answer; `running` shows nothing before.
    """
    secret = platform.s3.secret_access_key
    content = {
        "tracking_uri": platform.tracking_uri,
        "s3": platform.s3.model_dump(mode="json") | {"secret_access_key": secret.get_secret_value() if secret else None},
        "environment": dict(platform.environment),
        "owner": asdict(platform.owner),
        "ready": ready,
        "children": {name: asdict(ProcessMark.of(pid)) for name, pid in children.items()},
    }
    write_private(_state_path(state_dir), json.dumps(content, indent=1))


def remove_state(state_dir: Path) -> None:
    """Forget the platform, which is ending."""
    _state_path(state_dir).unlink(missing_ok=True)


def running(state_dir: Path) -> RunningPlatform | None:
    """Return the embedded platform of this state folder, or None when none runs or it is half-started."""
    try:
        content = read_json_file(_state_path(state_dir))
        marks = [ProcessMark(**content["owner"]), *(ProcessMark(**mark) for mark in content["children"].values())]
        from passerelle.settings import S3Settings  # noqa: PLC0415 - slow to import, and only a platform that was started needs it

        s3 = S3Settings.read(**content["s3"])
        platform = RunningPlatform(content["tracking_uri"], s3, content["environment"], marks[0])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SettingsError):
        return None
    return platform if content.get("ready") and all(mark.alive() for mark in marks) else None


def owner(state_dir: Path) -> int | None:
    """Return the process id of the platform that runs or is being started, or None when its state does not say."""
    try:
        mark = ProcessMark(**read_json_file(_state_path(state_dir))["owner"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return mark.pid if mark.alive() else None


def starting(state_dir: Path) -> int | None:
    """Return the process id of the platform that is being started and does not answer yet; None where none is."""
    try:
        ready = read_json_file(_state_path(state_dir)).get("ready")
    except (OSError, ValueError, AttributeError):
        return None
    return None if ready else owner(state_dir)


def sweep(state_dir: Path) -> None:
    """End what a killed platform left running, and forget it."""
    from passerelle.platform.child import end_group  # noqa: PLC0415 - only what ends a platform needs it

    try:
        children = read_json_file(_state_path(state_dir))["children"].values()
        left = [mark for mark in (ProcessMark(**child) for child in children) if mark.alive()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        left = []
    for mark in left:
        end_group(mark.pid, signal.SIGTERM)
    deadline = time.monotonic() + 10
    while any(mark.alive() for mark in left) and time.monotonic() < deadline:
        time.sleep(0.05)
    for mark in left:
        if mark.alive():
            end_group(mark.pid, signal.SIGKILL)
    remove_state(state_dir)
