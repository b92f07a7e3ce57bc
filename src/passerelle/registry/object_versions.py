"""The versions that a bucket keeps of its objects, and what is removed from it for good."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from passerelle.errors import OutsideError
from passerelle.registry.objects import Objects

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

#: As many as S3 takes in one request.
_MOST_DELETED = 1_000
_UNVERSIONED = ("NotImplemented", "MethodNotAllowed", "501")
_REFUSED = ("AccessDenied", "403", "Forbidden")


@dataclass(frozen=True)
class ObjectVersion:
    """One version of an object, or the marker of its deletion.

    Attributes:
        version_id: `null` in a bucket that keeps no former versions.
        current: Whether it is what a reader gets now; of a marker, that there is no object now.
        modified: When it was written, by the clock of the S3 server.
    """

    key: str
    version_id: str
    size_bytes: int
    current: bool
    marker: bool
    modified: datetime


@dataclass(frozen=True)
class UnfinishedUpload:
    """A multipart upload that was begun and not completed; its parts take space and no listing of objects shows them."""

    key: str
    upload_id: str
    size_bytes: int
    begun: datetime


class VersionedObjects(Objects):
    """The bucket of the settings with the former versions of its objects."""

    def keeps_versions(self) -> bool:
        """Return whether a deletion by name leaves the content there as a former version."""
        try:
            return self._client.get_bucket_versioning(Bucket=self.settings.bucket).get("Status") == "Enabled"
        except (BotoCoreError, ClientError) as error:
            if _code(error) in _UNVERSIONED:
                return False
            if _code(error) in _REFUSED:
                message = f"the S3 key {self.settings.access_key_id} may not free storage: s3:GetBucketVersioning is denied to it"
                raise OutsideError(message, hint="passerelle prune --target compose") from error
            raise self._failed("", error) from error

    def server_time(self) -> datetime:
        """Return the time by the clock of the S3 server."""
        try:
            answer = self._client.list_objects_v2(Bucket=self.settings.bucket, MaxKeys=1)
        except (BotoCoreError, ClientError) as error:
            raise self._failed("", error) from error
        return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])

    def object_versions(self, prefix: str) -> Iterator[ObjectVersion]:
        """Yield all versions and markers of the objects below the prefix; nothing where the S3 knows no versions."""
        try:
            for page in self._client.get_paginator("list_object_versions").paginate(Bucket=self.settings.bucket, Prefix=prefix):
                for one in page.get("Versions", ()):
                    yield ObjectVersion(one["Key"], one["VersionId"], one["Size"], one["IsLatest"], False, one["LastModified"])
                for mark in page.get("DeleteMarkers", ()):
                    yield ObjectVersion(mark["Key"], mark["VersionId"], 0, mark["IsLatest"], True, mark["LastModified"])
        except (BotoCoreError, ClientError) as error:
            if _code(error) in _UNVERSIONED:
                return
            raise self._failed(prefix, error) from error

    def present_objects(self, prefix: str) -> Iterator[ObjectVersion]:
        """Yield the objects below the prefix as the one version that a bucket without former versions has of each."""
        try:
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.settings.bucket, Prefix=prefix):
                for one in page.get("Contents", ()):
                    yield ObjectVersion(one["Key"], "null", one["Size"], True, False, one["LastModified"])
        except (BotoCoreError, ClientError) as error:
            raise self._failed(prefix, error) from error

    def unfinished_uploads(self, prefix: str) -> Iterator[UnfinishedUpload]:
        """Yield the multipart uploads below the prefix that were begun and not completed."""
        try:
            for page in self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self.settings.bucket, Prefix=prefix):
                for one in page.get("Uploads", ()):
                    yield UnfinishedUpload(one["Key"], one["UploadId"], self._parts_bytes(one["Key"], one["UploadId"]), one["Initiated"])
        except (BotoCoreError, ClientError) as error:
            if _code(error) in _UNVERSIONED:
                return
            raise self._failed(prefix, error) from error

    def _parts_bytes(self, key: str, upload_id: str) -> int:
        pages = self._client.get_paginator("list_parts").paginate(Bucket=self.settings.bucket, Key=key, UploadId=upload_id)
        return sum(part["Size"] for page in pages for part in page.get("Parts", ()))

    def abort(self, upload: UnfinishedUpload) -> None:
        """Remove the parts of an unfinished upload."""
        try:
            self._client.abort_multipart_upload(Bucket=self.settings.bucket, Key=upload.key, UploadId=upload.upload_id)
        except (BotoCoreError, ClientError) as error:
            if _code(error) != "NoSuchUpload":
                raise self._failed(upload.key, error) from error

    def hide(self, keys: Iterable[str]) -> None:
        """Delete objects by their names; a bucket that keeps versions puts a marker on each and keeps the content."""
        self._delete_all({"Key": key} for key in keys)

    def remove_for_good(self, versions: Iterable[tuple[str, str]]) -> None:
        """Remove versions and markers, each named by its key and its version id; nothing brings them back.

        Raises:
            OutsideError: S3 does not answer, or this key may not.
        """
        self._delete_all({"Key": key, "VersionId": version} for key, version in versions)

    def _delete_all(self, objects: Iterable[ObjectIdentifierTypeDef]) -> None:
        waiting: Sequence[ObjectIdentifierTypeDef] = list(objects)
        for begin in range(0, len(waiting), _MOST_DELETED):
            some = waiting[begin : begin + _MOST_DELETED]
            try:
                answer = self._client.delete_objects(Bucket=self.settings.bucket, Delete={"Objects": some, "Quiet": True})
            except (BotoCoreError, ClientError) as error:
                raise self._failed(some[0]["Key"], error) from error
            for failure in answer.get("Errors", ()):
                raise self._not_removed(failure.get("Key", ""), failure.get("VersionId", ""), failure.get("Code", "unknown"))

    def _not_removed(self, key: str, version: str, code: str) -> OutsideError:
        what = f"{'a former version of ' if version else ''}s3://{self.settings.bucket}/{key}"
        right = "s3:DeleteObjectVersion" if version else "s3:DeleteObject"
        needs = f"; the key needs {right}" if code in _REFUSED else ""
        return OutsideError(f"{what} was not removed: {code}{needs}")


def _code(error: BotoCoreError | ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else type(error).__name__
