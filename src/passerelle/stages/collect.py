"""Turn the prediction log's lines into Parquet, send it to the bucket, and remove what was kept long enough."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from passerelle.errors import BusyError
from passerelle.platform.embedded import stopped_by_signal
from passerelle.stages.context import Context, Progress, silent, stage
from passerelle.stages.log_collection import Collection, Collector
from passerelle.stages.log_location import LogLocation, log_location

__all__ = ["Collection", "follow", "run"]


@stage
def run(context: Context, *, expire: bool = False, dry_run: bool = False, progress: Progress = silent) -> Collection:
    """Collect once; a second run finds nothing to do.

    Args:
        expire: Only remove what was kept long enough.

    Raises:
        BusyError: Another process collects or erases in the folder.
    """
    return _once(log_location(context), expire=expire, dry_run=dry_run, progress=progress)


@stage
def follow(context: Context, on_collection: Callable[[Collection], None], *, progress: Progress = silent) -> None:
    """Collect again and again until SIGTERM or Ctrl-C, and once more then: the workers have closed their files by that time.

    Args:
        on_collection: Is called with the result of each collection that did something or has a problem.
    """
    location = log_location(context)
    with stopped_by_signal() as stop:
        while True:
            last = stop.wait(0)
            try:
                done = _once(location, expire=False, dry_run=False, progress=progress)
            except BusyError as error:  # an erasure takes its time
                done = Collection(problem=error.message)
            if done.changed or done.problem:
                on_collection(done)
            if last:
                return
            stop.wait(location.settings.log_collect_interval_s)


def _once(location: LogLocation, *, expire: bool, dry_run: bool, progress: Progress) -> Collection:
    collector = Collector(location, today=datetime.now(UTC).date(), dry_run=dry_run, progress=progress)
    with location.alone():
        return collector.expire() if expire else collector.collect()
