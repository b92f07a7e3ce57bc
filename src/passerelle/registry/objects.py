"""Objects in S3 beside MLflow's artifacts: read, and written by conditional writes."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import IO, TYPE_CHECKING, Protocol, TypedDict, Unpack

import boto3
from boto3.exceptions import S3UploadFailedError
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, NoCredentialsError

from passerelle.errors import IntegrityError, NotFoundError, OutsideError
from passerelle.proxy_variables import past_proxy, through_proxy
from passerelle.registry.reachable import S3_HINT
from passerelle.settings import S3Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectLockRetentionTypeDef

#: What S3 answers where the condition of a write does not hold.
CONFLICT = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
_KEYS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "403", "Forbidden"}
_KEYS_HINT = 'eval "$(passerelle env)"\nexport AWS_ACCESS_KEY_ID=KEY AWS_SECRET_ACCESS_KEY=SECRET'
#: Among them, those of a key that is right and may not do this.
_NO_RIGHT = {"AccessDenied", "403", "Forbidden"}
_NO_KEYS = "NoCredentialsError"
_NO_BUCKET = "NoSuchBucket"
_FULL = ("XMinioStorageFull", "InsufficientStorage", "no space left on device")
#: What MinIO says when its disk gets full in the middle of an object.
_BROKEN_OFF = "IncompleteBody"
_MISSING_KEY = {"NoSuchKey", "404"}
#: What S3 answers to a request that is signed for another time than its own.
_OTHER_TIME = {"RequestTimeTooSkewed", "RequestExpired"}
#: What an S3 without former versions answers to who asks for them.
_NO_VERSIONS = {"NotImplemented", "MethodNotAllowed", "501"}
#: Former versions of one object that are looked at; passerelle writes each name of the ledger once, but for its head.
_MOST_VERSIONS = 8


class Readable(Protocol):
    """What bytes are read from."""

    def read(self, size: int = ..., /) -> bytes:
        """Return that many bytes, or all that are left."""


class Condition(TypedDict, total=False):
    """On what S3 writes an object; the names are those of its API."""

    IfNoneMatch: str
    IfMatch: str


class Objects:
    """The bucket of the settings; the client is made on first use."""

    def __init__(self, s3: S3Settings) -> None:
        self.settings = s3
        self._cached_client: S3Client | None = None

    @property
    def _client(self) -> S3Client:
        if self._cached_client is None:
            secret = self.settings.secret_access_key
            self._cached_client = boto3.client(
                "s3",
                endpoint_url=self.settings.endpoint_url,
                aws_access_key_id=self.settings.access_key_id,
                aws_secret_access_key=secret.get_secret_value() if secret else None,
                region_name=self.settings.region,
                config=Config(
                    s3={"addressing_style": "path"}, retries={"max_attempts": 2, "mode": "standard"}, connect_timeout=5, read_timeout=30
                ),
            )
        return self._cached_client

    def check(self) -> None:
        """Check that the bucket answers to these keys.

        Raises:
            OutsideError: S3 does not answer, the keys are wrong, or the bucket is missing.
        """
        where = self.settings.endpoint_url or "AWS"
        try:
            # Not head_bucket: its answer has no body, so that a wrong key and a forbidden bucket look the same.
            answer = self._client.list_objects_v2(Bucket=self.settings.bucket, MaxKeys=1)
        except NoCredentialsError as error:
            raise OutsideError(f"no keys for the S3 at {where}", hint=_KEYS_HINT) from error
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code == _NO_BUCKET:
                hint = "export PASSERELLE_S3_BUCKET=BUCKET"
                raise OutsideError(f"the S3 at {where} holds no bucket '{self.settings.bucket}'", hint=hint) from error
            if code in _KEYS:
                raise OutsideError(f"the S3 at {where} refuses these keys ({code})", hint=_KEYS_HINT) from error
            raise OutsideError(f"the S3 at {where} refuses: {code}; its log may say why") from error
        except (EndpointConnectionError, BotoCoreError) as error:
            message = f"S3 does not answer at {where}{through_proxy(where)}"
            raise OutsideError(message, hint=past_proxy(where, S3_HINT)) from error
        # The client reads a page as a bucket without a name that holds nothing.
        if "Name" not in answer and answer["ResponseMetadata"]["HTTPHeaders"].get("content-type", "").startswith("text/html"):
            message = f"a web page answers at {where}, as that of a proxy or of a sign-in, and no S3"
            raise OutsideError(message, hint="export MLFLOW_S3_ENDPOINT_URL=URL")

    def keys(self, prefix: str, *, most: int | None = None) -> tuple[str, ...]:
        """Return the names of all objects below the prefix, in order; of the first of them where `most` limits their number."""
        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.settings.bucket, Prefix=prefix)
            return tuple(sorted(islice((item["Key"] for page in pages for item in page.get("Contents", ())), most)))
        except (BotoCoreError, ClientError) as error:
            raise self._failed(prefix, error) from error

    def read(self, key: str, *, most_bytes: int | None = None) -> tuple[bytes, str]:
        """Return an object's content and its entity tag.

        Raises:
            NotFoundError: There is no such object.
            IntegrityError: It is larger than what passerelle writes under such a name; it is not read then.
            OutsideError: S3 does not answer.
        """
        try:
            answer = self._client.get_object(Bucket=self.settings.bucket, Key=key)
            size = int(answer["ContentLength"])
            if most_bytes is not None and size > most_bytes:
                answer["Body"].close()
                message = f"s3://{self.settings.bucket}/{key} holds {size:,} bytes, and passerelle writes at most {most_bytes:,} there"
                raise IntegrityError(message, hint="passerelle history --verify")
            return answer["Body"].read(), str(answer["ETag"])
        except (BotoCoreError, ClientError) as error:
            raise self._failed(key, error) from error

    def stream(self, key: str) -> tuple[Readable, int]:
        """Return an object's content as it arrives, and its size in bytes.

        Raises:
            NotFoundError: There is no such object.
            OutsideError: S3 does not answer.
        """
        try:
            answer = self._client.get_object(Bucket=self.settings.bucket, Key=key)
            return answer["Body"], int(answer["ContentLength"])
        except (BotoCoreError, ClientError) as error:
            raise self._failed(key, error) from error

    def entity_tag(self, key: str) -> str:
        """Return an object's entity tag, however large it is.

        Raises:
            NotFoundError: There is no such object.
            OutsideError: S3 does not answer.
        """
        try:
            return str(self._client.head_object(Bucket=self.settings.bucket, Key=key)["ETag"])
        except (BotoCoreError, ClientError) as error:
            raise self._failed(key, error) from error

    def age_s(self, key: str) -> float:
        """Return how many seconds ago an object was written; both moments are by the S3 server's own clock.

        Raises:
            NotFoundError: There is no such object.
            OutsideError: S3 does not answer.
        """
        try:
            answer = self._client.head_object(Bucket=self.settings.bucket, Key=key)
        except (BotoCoreError, ClientError) as error:
            raise self._failed(key, error) from error
        now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        return float((now - answer["LastModified"]).total_seconds())

    def upload(self, key: str, content: IO[bytes]) -> None:
        """Write an object from a stream; replaces an existing one.

        Raises:
            OutsideError: S3 does not take it.
        """
        try:
            self._client.upload_fileobj(content, self.settings.bucket, key)
        except (BotoCoreError, ClientError, S3UploadFailedError) as error:
            raise self._failed(key, error) from error

    def create(self, key: str, content: bytes) -> bool:
        """Write a new object; return False, and change nothing, when there is one of this name."""
        return self._put(key, content, IfNoneMatch="*")

    def replace(self, key: str, content: bytes, *, entity_tag: str) -> bool:
        """Replace an object; return False, and change nothing, if it was written since it was read."""
        return self._put(key, content, IfMatch=entity_tag)

    def hold(self, key: str, until: datetime) -> bool:
        """Keep an object's present version from being removed before that time, and return whether the S3 does so now.

        The bucket must have been made with object lock, and the key must have the right. A key that may bypass holds still removes it.
        """
        try:
            retention: ObjectLockRetentionTypeDef = {"Mode": "GOVERNANCE", "RetainUntilDate": until}
            self._client.put_object_retention(Bucket=self.settings.bucket, Key=key, Retention=retention)
        except (BotoCoreError, ClientError):
            return False
        return True

    def was_altered(self, key: str) -> bool:
        """Return whether the object was deleted or written over, as far as the bucket keeps former versions and this key may see them.

        Raises:
            OutsideError: S3 does not answer.
        """
        try:
            answer = self._client.list_object_versions(Bucket=self.settings.bucket, Prefix=key, MaxKeys=_MOST_VERSIONS)
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and error.response.get("Error", {}).get("Code", "") in _NO_VERSIONS | _KEYS:
                return False
            raise self._failed(key, error) from error
        contents = [one["ETag"] for one in answer.get("Versions", ()) if one["Key"] == key]
        markers = any(one["Key"] == key for one in answer.get("DeleteMarkers", ()))
        return markers or len(set(contents)) > 1 or len(contents) == _MOST_VERSIONS

    def delete(self, key: str) -> None:
        """Remove an object; nothing happens when there is none."""
        try:
            self._client.delete_object(Bucket=self.settings.bucket, Key=key)
        except (BotoCoreError, ClientError) as error:
            raise self._failed(key, error) from error

    def _put(self, key: str, content: bytes, **condition: Unpack[Condition]) -> bool:
        try:
            self._client.put_object(Bucket=self.settings.bucket, Key=key, Body=content, **condition)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code", "") in CONFLICT:
                # The client repeats a write whose answer was lost; then the existing object is our own.
                return self._holds(key, content)
            raise self._failed(key, error) from error
        except BotoCoreError as error:
            raise self._failed(key, error) from error
        return True

    def _holds(self, key: str, content: bytes) -> bool:
        try:
            return self.read(key, most_bytes=len(content))[0] == content
        except (NotFoundError, IntegrityError):
            return False

    def _failed(self, key: str, error: BotoCoreError | ClientError | S3UploadFailedError) -> NotFoundError | OutsideError:
        code = error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else type(error).__name__
        name = f"s3://{self.settings.bucket}/{key}"
        if code in _MISSING_KEY:
            return NotFoundError(f"{name} does not exist", hint="passerelle status")
        if code in _OTHER_TIME:
            return OutsideError(f"the clock of this machine is not that of the S3 server, which refuses its requests: set it ({code})")
        if any(words in str(error) for words in _FULL):
            return OutsideError(f"the S3 server is full: {name} was not written; it needs a larger disk")
        if code == _BROKEN_OFF:
            return OutsideError(
                f"the S3 server broke off while {name} was written, as it does when its disk is full; check its disk and its log"
            )
        return _refusal(f"{name} cannot be read or written: {code}", code)


def _refusal(message: str, code: str) -> OutsideError:
    """Return what S3 refused, and why where its code tells."""
    if code in _NO_RIGHT:
        rights = "list the bucket and read its objects, and to write them where it writes"
        return OutsideError(f"{message}; the key has no right to do this: a command needs one to {rights}", hint=_KEYS_HINT)
    if code in _KEYS or code == _NO_KEYS:
        return OutsideError(f"{message}; the keys of this environment are missing or wrong", hint=_KEYS_HINT)
    if code == _NO_BUCKET:
        return OutsideError(f"{message}; the S3 holds no such bucket: it may be misspelt", hint="passerelle doctor")
    return OutsideError(message, hint="passerelle doctor")
