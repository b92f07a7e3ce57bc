"""Small files of runs, read from the bucket; MLflow makes five requests and threads of its own for each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from passerelle.errors import IntegrityError, NotFoundError

if TYPE_CHECKING:
    from passerelle.registry.objects import Objects

#: What is larger is written to the disk piece by piece, which MLflow does.
_LARGEST_BYTES = 32 << 20


class SmallArtifacts:
    """Reads files of runs whose artifacts are in this bucket.

    Args:
        folder_of: Returns the address of a run's artifacts, which never changes; called once for each run.
        objects: The bucket.
    """

    def __init__(self, folder_of: Callable[[str], str], objects: Objects) -> None:
        self._folder_of = folder_of
        self._objects = objects
        self._folders: dict[str, str] = {}

    def fetch(self, run_id: str, path: str, destination: Path) -> Path | None:
        """Write the file below the destination and return where it is; None where it is not in this bucket as a small file of the run.

        MLflow may find it all the same: elsewhere, as a folder, or among the files of the run's model.

        Raises:
            OutsideError: S3 does not answer.
        """
        if run_id not in self._folders:
            self._folders[run_id] = self._folder_of(run_id)
        bucket = f"s3://{self._objects.settings.bucket}/"
        if not self._folders[run_id].startswith(bucket):
            return None
        key = f"{self._folders[run_id].removeprefix(bucket)}/{path}"
        with suppress(NotFoundError, IntegrityError):
            content, _ = self._objects.read(key, most_bytes=_LARGEST_BYTES)
            target = destination / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            return target
        return None
