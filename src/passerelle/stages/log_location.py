"""Where the prediction log of a context is: a folder of this machine, and a bucket where one is set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from passerelle.errors import BusyError, OutsideError, shell_word
from passerelle.log_settings import LOG_FOLDER, LogSettings
from passerelle.monitoring.prediction_log.log_place import JoinedPlaces, LogFolder, LogPlace, LogStore
from passerelle.registry.log_bucket import LogBucket
from passerelle.retention_settings import RetentionSettings
from passerelle.stages.context import Context

_LOCK_WAIT_S = 30.0


@dataclass(frozen=True)
class LogLocation:
    """Where the log is.

    Attributes:
        folder: That the workers write to; it need not be there.
        bucket: That collected files go to; None where they stay in the folder.
    """

    folder: Path
    bucket: LogBucket | None
    settings: RetentionSettings

    @property
    def near(self) -> LogFolder:
        """The folder as a place of the log."""
        return LogFolder(self.folder)

    @property
    def stores(self) -> tuple[LogStore, ...]:
        """The places that hold Parquet files, in the order in which a file moves through them."""
        return (self.near, self.bucket) if self.bucket is not None else (self.near,)

    @property
    def place(self) -> LogPlace:
        """All of the log that is reached from here, for reading."""
        return JoinedPlaces(*self.stores)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let one process at a time collect or erase in the folder.

        Raises:
            BusyError: Another one does, and did not end in time.
            OutsideError: The folder does not belong to this user, or its disk takes nothing.
        """
        if not self.folder.is_dir():
            yield
            return
        lock = FileLock(self.folder / "collector.lock", mode=0o600)
        try:
            lock.acquire(timeout=_LOCK_WAIT_S)
        except Timeout:
            message = f"another process has been collecting or erasing in {self.folder} for {_LOCK_WAIT_S:.0f} s; run this command again"
            raise BusyError(message) from None
        except OSError as error:
            message = f"cannot lock the folder of the prediction log, {self.folder}: {error.strerror}"
            raise OutsideError(f"{message}; this user must be able to write in it", hint=f"ls -ld {shell_word(self.folder)}") from error
        try:
            yield
        finally:
            lock.release()


def log_location(context: Context) -> LogLocation:
    """Return where the log of a context is, by its settings."""
    settings = RetentionSettings.read(context.environment)
    folder = LogSettings.read(context.environment).prediction_log or context.state.state_dir / LOG_FOLDER
    s3 = context.s3.model_copy(update={"bucket": settings.log_bucket})
    bucket = LogBucket(s3, settings.log_prefix) if settings.log_bucket else None
    return LogLocation(Path(folder).resolve(), bucket, settings)
