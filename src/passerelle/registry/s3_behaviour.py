"""What an S3 does, found out by asking it: whether it is what the ledger, the backups and MLflow's artifacts need."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import TYPE_CHECKING, Final, Unpack

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from passerelle.errors import OutsideError
from passerelle.registry.objects import CONFLICT, Condition, Objects

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

#: A small page; two of them and a part of a third are listed.
PAGE: Final = 7
_LISTED = 2 * PAGE + 2
#: The smallest part that S3 takes, but for the last.
_PART_BYTES = 5 << 20
_UNKNOWN = {"NotImplemented", "MethodNotAllowed", "501", "405"}
_DENIED = {"AccessDenied", "403", "Forbidden"}


class S3Behaviour(Objects):
    """The bucket of the settings, tried out. All but the methods that take a key only read."""

    def clock_skew_s(self) -> float:
        """Return by how many seconds the server's clock is ahead of this machine's.

        Raises:
            OutsideError: S3 does not answer.
        """
        with self._understood(""):
            answer = self._client.list_objects_v2(Bucket=self.settings.bucket, MaxKeys=1)
            server = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        return (server - datetime.now(UTC)).total_seconds()

    def versioning(self) -> str | None:
        """Return `Enabled`, `Suspended` or `off`; None where this S3 knows no versions, or this key may not ask."""
        try:
            return str(self._client.get_bucket_versioning(Bucket=self.settings.bucket).get("Status") or "off")
        except ClientError as error:
            if _code(error) in _UNKNOWN | _DENIED:
                return None
            raise self._failed("", error) from error
        except BotoCoreError as error:
            raise self._failed("", error) from error

    def listing(self, prefix: str = "") -> tuple[int, bool]:
        """Return how many of the first objects were listed, and whether page by page they are the same ones."""
        whole = list(self.keys(prefix, most=_LISTED))
        with self._understood(""):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.settings.bucket, Prefix=prefix, PaginationConfig={"PageSize": PAGE, "MaxItems": _LISTED}
            )
            paged = list(islice((item["Key"] for page in pages for item in page.get("Contents", ())), _LISTED))
        return len(whole), whole == paged

    def other_buckets(self) -> tuple[str, ...]:
        """Return the other buckets that this key may list the objects of; none where it may not even list the buckets."""
        try:
            names = [bucket["Name"] for bucket in self._client.list_buckets().get("Buckets", ())]
        except (BotoCoreError, ClientError):
            return ()
        return tuple(name for name in names if name != self.settings.bucket and self._lists(name))

    def is_public(self) -> bool:
        """Return whether somebody without a key may list the objects."""
        anybody = boto3.client(
            "s3", endpoint_url=self.settings.endpoint_url, region_name=self.settings.region,
            config=Config(signature_version=UNSIGNED, s3={"addressing_style": "path"}, retries={"max_attempts": 1}, connect_timeout=5,
                          read_timeout=10),
        )  # fmt: skip
        try:
            anybody.list_objects_v2(Bucket=self.settings.bucket, MaxKeys=1)
        except (BotoCoreError, ClientError):
            return False
        return True

    def ignored_conditions(self, key: str) -> tuple[str, ...]:
        """Return the conditions on a write that this S3 does not keep to; none where it keeps to all.

        Raises:
            OutsideError: It does not take the object.
        """
        ignored = []
        with self._understood(key):
            self._write(key, b"first", IfNoneMatch="*")
            if self._write(key, b"second", IfNoneMatch="*"):
                ignored.append("If-None-Match")
            if self._write(key, b"third", IfMatch='"' + "0" * 32 + '"'):
                ignored.append("If-Match")
            if not self._write(key, b"fourth", IfMatch=self.entity_tag(key)):
                ignored.append("If-Match with the right entity tag")
        return tuple(ignored)

    def takes_parts(self, key: str) -> bool:
        """Return whether an object that is sent in two parts is read again as it was sent.

        Raises:
            OutsideError: S3 does not take it.
        """
        content = (bytes(range(256)) * (_PART_BYTES // 256 + 4))[: _PART_BYTES + 1_000]
        bucket = self.settings.bucket
        with self._understood(key):
            upload = self._client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
            try:
                parts: list[CompletedPartTypeDef] = []
                for number, part in enumerate((content[:_PART_BYTES], content[_PART_BYTES:]), start=1):
                    answer = self._client.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=part)
                    parts.append({"ETag": answer["ETag"], "PartNumber": number})
                self._client.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})
            except (BotoCoreError, ClientError, KeyError):
                with suppress(BotoCoreError, ClientError):
                    self._client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
                raise
        return hashlib.sha256(self.read(key)[0]).digest() == hashlib.sha256(content).digest()

    def remove_all_versions(self, key: str) -> bool:
        """Remove an object, and return whether this key may remove its former versions too; they stay where it may not."""
        self.delete(key)
        gone = False
        try:
            answer = self._client.list_object_versions(Bucket=self.settings.bucket, Prefix=key)
            for each in (*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())):
                if each["VersionId"] != "null":
                    self._client.delete_object(Bucket=self.settings.bucket, Key=key, VersionId=each["VersionId"])
                    gone = True
        except (BotoCoreError, ClientError):
            return False
        return gone

    def _write(self, key: str, content: bytes, **condition: Unpack[Condition]) -> bool:
        """Write an object on a condition; unlike `create`, tell nothing from the content that is there."""
        try:
            self._client.put_object(Bucket=self.settings.bucket, Key=key, Body=content, **condition)
        except ClientError as error:
            if _code(error) in CONFLICT:
                return False
            raise
        return True

    @contextmanager
    def _understood(self, key: str) -> Iterator[None]:
        """Turn failures into ours, and what an answer leaves out too: another server than an S3 may answer there."""
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise self._failed(key, error) from error
        except KeyError as error:
            where = self.settings.endpoint_url or "AWS"
            raise OutsideError(f"the S3 at {where} leaves {error} out of its answer: it may be another program") from error

    def _lists(self, bucket: str) -> bool:
        try:
            self._client.list_objects_v2(Bucket=bucket, MaxKeys=1)
        except (BotoCoreError, ClientError):
            return False
        return True


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
