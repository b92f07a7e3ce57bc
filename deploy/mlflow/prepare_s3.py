"""Make the bucket, its versioning, and a user for each component that may do what it needs and nothing else. Can be run again."""

import json
import os
import time
from typing import Any

import boto3
import certifi
import urllib3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from minio.credentials import StaticProvider
from minio.error import MinioAdminException
from minio.minioadmin import MinioAdmin
from secret import say, secret, stop

WAIT_S = 60.0
NOT_FOUND, SERVER_ERROR = 404, 500
#: Too late, made by another at the same time, too many at once: asked again.
PASSING = (408, 409, 429)
#: For which what was replaced or deleted among the artifacts is kept; the ledger keeps it for ever.
FORMER_DAYS, UPLOAD_DAYS = int(os.environ.get("S3_FORMER_DAYS") or 30), 7
#: What an S3 says of a request, or of a rule, that it does not know.
NOT_KNOWN = ("NotImplemented", "MethodNotAllowed", "501", "InvalidArgument", "MalformedXML", "InvalidRequest")
BUCKET, REGION = os.environ.get("S3_BUCKET", "passerelle"), os.environ.get("S3_REGION") or "us-east-1"
#: Of the prediction log; it keeps no former versions, so that what is erased or expired is gone.
LOG_BUCKET = os.environ.get("S3_LOG_BUCKET") or f"{BUCKET}-predictions"
ARTIFACTS, LEDGER = f"arn:aws:s3:::{BUCKET}/mlflow/*", f"arn:aws:s3:::{BUCKET}/ledger/*"


def listing(*prefixes: str) -> dict[str, object]:
    """Return the right to see the names below the prefixes; of all objects where none is given."""
    condition = {"Condition": {"StringLike": {"s3:prefix": [part for prefix in prefixes for part in (prefix, f"{prefix}/*")]}}}
    return allowed(["s3:ListBucket"], f"arn:aws:s3:::{BUCKET}") | (condition if prefixes else {})


def allowed(actions: list[str], *resources: str) -> dict[str, object]:
    """Return one statement of a policy."""
    return {"Effect": "Allow", "Action": actions, "Resource": list(resources)}


def nothing_for_good(*resources: str) -> dict[str, object]:
    """Return the statement that forbids to remove a version; MinIO lets whoever may delete an object do that unless it is denied."""
    return {"Effect": "Deny", "Action": ["s3:DeleteObjectVersion"], "Resource": list(resources)}


#: All that is done with the prediction log, and with nothing else.
LOG = [
    allowed(["s3:ListBucket", "s3:ListBucketVersions"], f"arn:aws:s3:::{LOG_BUCKET}"),
    allowed(["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"], f"arn:aws:s3:::{LOG_BUCKET}/*"),
]
#: Who may lock an entry may not shorten the time, which is another right.
ENTRIES = f"arn:aws:s3:::{BUCKET}/ledger/*.jsonl"
LOOKS = f"arn:aws:s3:::{BUCKET}/ledger/*/looks/*"
#: Whoever reads the ledger sees what was written over or deleted there.
FORMER = allowed(["s3:ListBucketVersions"], f"arn:aws:s3:::{BUCKET}") | {"Condition": {"StringLike": {"s3:prefix": ["ledger/*"]}}}
LOCK = f"arn:aws:s3:::{BUCKET}/ledger/*/lock.json"
#: What `passerelle doctor --write-test` writes and removes again.
TRIED = f"arn:aws:s3:::{BUCKET}/.passerelle/doctor/*"
#: Users of former versions, whose keys open nothing any more.
FORMER_USERS = ("service",)
#: The MLflow server shows artifacts and writes none; the workbench trains and promotes, cannot take a ledger entry back, and may erase from
#: the prediction log; the prober verifies the ledger; the backup reads the bucket of the artifacts and holds the locks of promotions; the
#: pruner alone removes artifacts for good, and nobody does that with what the ledger holds; the collector keeps the prediction log.
USERS = {
    "mlflow": [listing("mlflow"), allowed(["s3:GetObject"], ARTIFACTS)],
    "workbench": [
        listing(),
        FORMER,
        allowed(["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"], ARTIFACTS),
        allowed(["s3:GetObject", "s3:PutObject"], LEDGER),
        allowed(["s3:PutObjectRetention"], ENTRIES, LOOKS),
        allowed(["s3:DeleteObject"], LOCK),
        allowed(["s3:GetBucketVersioning"], f"arn:aws:s3:::{BUCKET}"),
        allowed(["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"], TRIED),
        nothing_for_good(f"arn:aws:s3:::{BUCKET}/*"),
        *LOG,
    ],
    "prober": [listing(), FORMER, allowed(["s3:GetObject"], ARTIFACTS, LEDGER)],
    "backup": [
        listing(),
        allowed(["s3:GetObject"], f"arn:aws:s3:::{BUCKET}/*"),
        allowed(["s3:PutObject", "s3:DeleteObject"], LOCK),
        nothing_for_good(f"arn:aws:s3:::{BUCKET}/*"),
    ],
    "pruner": [
        allowed(
            ["s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads", "s3:GetBucketVersioning"], f"arn:aws:s3:::{BUCKET}"
        ),
        allowed(["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"], ARTIFACTS),
        allowed(["s3:GetObject"], LEDGER),
        allowed(["s3:PutObject", "s3:DeleteObject"], LOCK),
        nothing_for_good(LEDGER),
    ],
    "collector": LOG,
}


def prepare_bucket(endpoint: str, key_id: str, key: str, bucket: str = BUCKET) -> None:
    """Make a bucket where it is not there, as soon as the S3 answers; that of the artifacts keeps former versions."""
    config = Config(s3={"addressing_style": "path"}, connect_timeout=3, retries={"max_attempts": 1})
    client = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id=key_id, aws_secret_access_key=key, region_name=REGION, config=config
    )
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            make_bucket(client, bucket)
            keeps = bucket == BUCKET and versioned(client)
            if keeps:
                limit_former_versions(client)
                let_entries_be_locked(client)
            return say(f"bucket {bucket} at {endpoint}, {'versioned' if keeps else 'not versioned'}")
        except ClientError as error:
            answer, status = error.response["Error"], error.response["ResponseMetadata"]["HTTPStatusCode"]
            said = f"{answer['Code']}: {answer.get('Message', '')}"
            if answer["Code"] in ("InvalidAccessKeyId", "SignatureDoesNotMatch"):
                stop(f"the S3 at {endpoint} refuses the key {key_id} ({said}); the one that its volume was made with counts: restore it")
            if status < SERVER_ERROR and status not in PASSING:
                stop(f"the S3 at {endpoint} refuses {error.operation_name} on the bucket {bucket} to the key {key_id} ({said})")
            problem: Exception = error
        except BotoCoreError as error:
            problem = error
        if time.monotonic() > deadline:
            stop(f"the S3 at {endpoint} did not become usable within {WAIT_S:.0f} s: {problem}")
        time.sleep(0.5)


def make_bucket(client: Any, name: str) -> None:
    """Make a bucket unless it is there; asked for by its name, since a key need not have the right to list all.

    Not by HEAD, whose answer cannot say which error it is.
    """
    try:
        client.list_objects_v2(Bucket=name, MaxKeys=1)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != NOT_FOUND:
            raise
        # AWS takes no place for us-east-1, and wants one for all others.
        place = {} if REGION == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": REGION}}
        try:
            # Locked in it are the ledger's entries and looks, by whoever writes them.
            client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=name == BUCKET, **place)
        except ClientError as refused:
            status = refused.response["ResponseMetadata"]["HTTPStatusCode"]
            if name != BUCKET or (status >= SERVER_ERROR and refused.response["Error"]["Code"] not in NOT_KNOWN):
                raise
            client.create_bucket(Bucket=name, **place)


def versioned(client: Any) -> bool:
    """Return whether the bucket keeps former versions now; an S3 that cannot is good enough."""
    try:
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("NotImplemented", "MethodNotAllowed", "501"):
            raise
        say(f"warning: this S3 has no versioning ({error.response['Error']['Code']}); what is overwritten or deleted in it is gone")
        return False
    return True


def let_entries_be_locked(client: Any) -> None:
    """Give object lock to a bucket that was made without it: AWS does that for one with versions, MinIO never."""
    try:
        found = client.get_object_lock_configuration(Bucket=BUCKET).get("ObjectLockConfiguration", {})
        if found.get("ObjectLockEnabled") == "Enabled":
            return
    except ClientError:
        # It says so where there is none, or does not know the question.
        pass
    try:
        client.put_object_lock_configuration(Bucket=BUCKET, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
        say("object lock is on: entries of the ledger that are written from now on are locked")
    except ClientError as error:
        code = error.response["Error"]["Code"]
        say(
            f"warning: the bucket {BUCKET} has no object lock and gets none ({code}); entries of the ledger are not locked: docs/storage.md"
        )


def limit_former_versions(client: Any) -> None:
    """Let the bucket itself remove former versions of artifacts, and parts of uploads that nobody completed, as far as the S3 can.

    Rules that an operator added stay. MinIO knows no rule for unfinished uploads, and removes them by itself after a day.
    """
    of_artifacts = {"Status": "Enabled", "Filter": {"Prefix": "mlflow/"}}
    former = {
        "ID": "passerelle-former-versions",
        "NoncurrentVersionExpiration": {"NoncurrentDays": FORMER_DAYS},
        "Expiration": {"ExpiredObjectDeleteMarker": True},
        **of_artifacts,
    }
    uploads = {
        "ID": "passerelle-unfinished-uploads",
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": UPLOAD_DAYS},
        **of_artifacts,
    }
    # What doctor wrote to try the bucket, which no key of a person removes for good.
    trials = {
        **former,
        "ID": "passerelle-trials",
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        "Filter": {"Prefix": ".passerelle/"},
    }
    try:
        others = [each for each in present_rules(client) if not each.get("ID", "").startswith("passerelle-")]
        for rules in ([former, trials, uploads], [former, trials]):
            problem = refusal_of(client, [*others, *rules])
            if not problem:
                return say(f"former versions below mlflow/ are removed after {FORMER_DAYS} days")
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] >= SERVER_ERROR and error.response["Error"]["Code"] not in NOT_KNOWN:
            raise
        problem = error.response["Error"]["Code"]
    say(f"warning: this S3 takes no lifecycle rule ({problem}); former versions take space until `passerelle prune` removes them")


def present_rules(client: Any) -> list[dict[str, Any]]:
    """Return the lifecycle rules that the bucket has."""
    try:
        rules: list[dict[str, Any]] = client.get_bucket_lifecycle_configuration(Bucket=BUCKET).get("Rules", [])
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchLifecycleConfiguration":
            raise
        return []
    return rules


def refusal_of(client: Any, rules: list[dict[str, Any]]) -> str:
    """Give the bucket these lifecycle rules; return what the S3 says where it does not know one of them, else nothing."""
    try:
        client.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": rules})
    except ClientError as error:
        if error.response["Error"]["Code"] not in NOT_KNOWN:
            raise
        return str(error.response["Error"]["Code"])
    return ""


def prepare_users(endpoint: str, key_id: str, key: str) -> None:
    """Make the users with their policies; a secret that was changed replaces the former one."""
    where = urllib3.util.parse_url(endpoint)
    pool = urllib3.PoolManager(timeout=10, retries=urllib3.Retry(5, backoff_factor=0.2), ca_certs=certifi.where())
    admin = MinioAdmin(endpoint=where.netloc, credentials=StaticProvider(key_id, key), secure=where.scheme == "https", http_client=pool)
    for name, statements in USERS.items():
        admin.policy_add(f"passerelle-{name}", policy={"Version": "2012-10-17", "Statement": statements})
        admin.user_add(name, secret(f"S3_{name.upper()}"))
        held = json.loads(admin.user_info(name)).get("policyName", "")
        if held != f"passerelle-{name}":
            admin.attach_policy([f"passerelle-{name}"], user=name)
        say(f"user {name}")
    for name in set(FORMER_USERS) & set(json.loads(admin.user_list())):
        admin.user_remove(name)
        say(f"removed the user {name}, which nothing uses")


def prepare_storage() -> None:
    """Prepare MinIO, or only the bucket of another S3, whose users are its operator's."""
    endpoint = os.environ.get("S3_ENDPOINT_URL") or "http://minio:9000"
    if os.environ.get("S3_ACCESS_KEY_ID"):
        key_id, key = os.environ["S3_ACCESS_KEY_ID"], secret("S3_SECRET")
        prepare_bucket(endpoint, key_id, key)
        # A key of somebody else's S3 need not have the right to make another bucket.
        return prepare_bucket(endpoint, key_id, key, LOG_BUCKET) if os.environ.get("S3_LOG_BUCKET") else None
    key_id, key = os.environ.get("MINIO_ROOT_USER", "admin"), secret("MINIO_ROOT_PASSWORD")
    for bucket in (BUCKET, LOG_BUCKET):
        prepare_bucket(endpoint, key_id, key, bucket)
    try:
        prepare_users(endpoint, key_id, key)
    except MinioAdminException as error:
        stop(f"MinIO at {endpoint} refuses: {error}")


if __name__ == "__main__":
    prepare_storage()
