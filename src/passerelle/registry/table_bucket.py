"""Tables in S3: read a range at a time, and written whole by conditional writes."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, cast

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from passerelle.errors import DataError, OutsideError
from passerelle.registry.objects import CONFLICT, Objects
from passerelle.seekable_reader import SeekableReader
from passerelle.settings import S3Settings

_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True)
class TableBucket:
    """A prefix of a bucket; may be handed to another process.

    Attributes:
        s3: How it is reached.
        prefix: What all names in it begin with.
    """

    s3: S3Settings
    prefix: str

    @property
    def name(self) -> str:
        """Its address."""
        return f"s3://{self.s3.bucket}/{self.prefix}".rstrip("/")

    def objects(self, prefix: str) -> Iterator[TableObject]:
        """Yield the objects whose names begin so, in order.

        Raises:
            OutsideError: S3 does not answer, or refuses the keys.
        """
        for key, size, entity_tag in _TableObjects(self.s3).listed(prefix):
            yield TableObject(self.s3, key, size, entity_tag)

    def names(self) -> Sequence[str]:
        """Return the names of all files below the prefix."""
        begin = self._key("")
        return [key[len(begin) :] for key in Objects(self.s3).keys(begin)]

    def read(self, name: str) -> bytes:
        """Return a file's content."""
        return Objects(self.s3).read(self._key(name))[0]

    def write(self, name: str, content: bytes) -> None:
        """Write a file unless it is there: whoever scores the same split writes the same content.

        Raises:
            OutsideError: S3 does not answer, or refuses.
        """
        Objects(self.s3).create(self._key(name), content)

    def _key(self, name: str) -> str:
        return f"{self.prefix.strip('/')}/{name}" if self.prefix.strip("/") else name


@dataclass(frozen=True)
class TableObject:
    """One object of the input, as it was when it was listed."""

    s3: S3Settings
    key: str
    size_bytes: int
    entity_tag: str

    @property
    def name(self) -> str:
        """Its address."""
        return f"s3://{self.s3.bucket}/{self.key}"

    def open(self) -> BinaryIO:
        """Return its content, which is read a range at a time."""
        return cast("BinaryIO", io.BufferedReader(_Ranges(self), _BUFFER_BYTES))


class _TableObjects(Objects):
    """What tables need of a bucket besides."""

    def prepare(self) -> None:
        """Make the client now."""
        _ = self._client

    def listed(self, prefix: str) -> Iterator[tuple[str, int, str]]:
        """Yield name, size in bytes and entity tag of the objects whose names begin so, in order."""
        try:
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.settings.bucket, Prefix=prefix):
                yield from ((each["Key"], int(each["Size"]), each["ETag"]) for each in page.get("Contents", ()))
        except (BotoCoreError, ClientError) as error:
            raise self._failed(prefix, error) from error

    def range(self, table: TableObject, begin: int, end: int) -> bytes:
        """Return a part of an object.

        Raises:
            DataError: It was changed since it was listed.
            OutsideError: S3 does not answer.
        """
        try:
            answer = self._client.get_object(
                Bucket=self.settings.bucket, Key=table.key, Range=f"bytes={begin}-{end - 1}", IfMatch=table.entity_tag
            )
            return answer["Body"].read()
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and error.response.get("Error", {}).get("Code", "") in CONFLICT:
                raise DataError(f"{table.name} was changed while it was scored; score it into another folder") from error
            raise self._failed(table.key, error) from error
        except HTTPError as error:
            raise OutsideError(f"S3 broke off in the middle of {table.name}; run this command again, it goes on") from error


_READERS: dict[tuple[object, ...], _TableObjects] = {}
_READERS_LOCK = threading.Lock()


def _reader(s3: S3Settings) -> _TableObjects:
    """Return the one client of this process for these settings: to make one costs more than to read a small file."""
    secret = s3.secret_access_key and s3.secret_access_key.get_secret_value()
    key = (s3.endpoint_url, s3.region, s3.bucket, s3.access_key_id, secret)
    with _READERS_LOCK:  # to make a client is not for several threads at once, as to use it is
        if key not in _READERS:
            _READERS[key] = _TableObjects(s3)
            _READERS[key].prepare()
        return _READERS[key]


class _Ranges(SeekableReader):
    """An object as a file that can be read from any place."""

    def __init__(self, table: TableObject) -> None:
        super().__init__(table.size_bytes)
        self._table, self._objects = table, _reader(table.s3)

    def part(self, begin: int, end: int) -> bytes:
        return self._objects.range(self._table, begin, end)
