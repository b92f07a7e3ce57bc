"""The prediction log in S3: a bucket of its own, whose objects are written once and removed with all their versions."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from passerelle.errors import NotFoundError, OutsideError
from passerelle.monitoring.prediction_log.log_place import CLOSED, OPEN, PARQUET
from passerelle.registry.object_versions import ObjectVersion, VersionedObjects
from passerelle.registry.objects import CONFLICT
from passerelle.settings import S3Settings

_CHUNK_BYTES = 1 << 20


class LogBucket(VersionedObjects):
    """The log's bucket, as a place of the log.

    Args:
        s3: How it is reached; its bucket is the log's.
        prefix: What all names in it begin with.
    """

    def __init__(self, s3: S3Settings, prefix: str) -> None:
        super().__init__(s3)
        self._prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""

    def names(self, folder: str) -> Sequence[str]:
        """Return the names of all files below a folder; lines lie on the machines of the workers alone."""
        if folder.startswith((f"{OPEN}/", f"{CLOSED}/")):
            return []
        begin = len(self._prefix)
        rest = f"{PARQUET}/" if folder.startswith(f"{PARQUET}/") else ""
        return [rest + key[begin:] for key in self.keys(self._key(folder))]

    def open(self, name: str) -> BinaryIO:
        """Return the object's content in a temporary file.

        Raises:
            FileNotFoundError: There is none.
            OutsideError: S3 does not answer.
        """
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        try:
            stream, _ = self.stream(self._key(name))
            while chunk := stream.read(_CHUNK_BYTES):
                file.write(chunk)
        except NotFoundError as error:
            file.close()
            raise FileNotFoundError(error.message) from error
        except (BotoCoreError, HTTPError) as error:
            file.close()
            raise OutsideError(
                f"S3 broke off in the middle of {self._key(name)}: {type(error).__name__}; run this command again"
            ) from error
        file.seek(0)
        return cast("BinaryIO", file)

    def add(self, name: str, source: Path) -> bool:
        """Write a new object; return False, and change nothing, when there is one of this name: it has the same content then."""
        key = self._key(name)
        try:
            with source.open("rb") as content:
                self._client.put_object(Bucket=self.settings.bucket, Key=key, Body=content, IfNoneMatch="*")
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and error.response.get("Error", {}).get("Code", "") in CONFLICT:
                return False
            raise self._failed(key, error) from error
        return True

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects with all their versions.

        Raises:
            OutsideError: S3 does not answer, or refuses.
        """
        for name in names:
            key = self._key(name)
            # Versions first: a deletion by name alone would leave them, and nothing that leads to them.
            versions = [each for each in self._kept(key) if each.key == key]
            self.remove_for_good((key, each.version_id) for each in versions)
            if not any(_is_content(each) for each in versions):
                self.delete(key)

    def remove_former(self, folder: str) -> int:
        """Remove the versions of objects below a folder that are not the current ones, and the markers of deleted objects."""
        former = [(each.key, each.version_id) for each in self._kept(self._key(folder)) if not _is_content(each)]
        self.remove_for_good(former)
        return len(former)

    def _key(self, name: str) -> str:
        return self._prefix + name.removeprefix(f"{PARQUET}/")

    def _kept(self, prefix: str) -> Iterator[ObjectVersion]:
        """Yield what the bucket keeps below a prefix; nothing of an object that was written without versions."""
        return (each for each in self.object_versions(prefix) if each.version_id != "null" or not _is_content(each))


def _is_content(version: ObjectVersion) -> bool:
    """Return whether it is the current content of an object."""
    return version.current and not version.marker
