"""What S3 answers to a command that scores tables there: refusals in words, and one client for all of a bucket's files."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from botocore.stub import Stubber

from passerelle.errors import OutsideError
from passerelle.registry import table_bucket
from passerelle.registry.objects import Objects
from passerelle.registry.table_bucket import TableBucket, TableObject
from passerelle.settings import S3Settings

S3 = S3Settings.model_validate(
    {
        "endpoint_url": "http://127.0.0.1:9",
        "access_key_id": "key",
        "secret_access_key": "secret",
        "region": "us-east-1",
        "bucket": "archive",
    }
)
BUCKET, TABLE = TableBucket(S3, "2025"), TableObject(S3, "2025/a.csv", 10, '"tag"')


@pytest.mark.parametrize(
    ("operation", "use"),
    [
        ("list_objects_v2", lambda: list(BUCKET.objects("2025"))),
        ("get_object", lambda: TABLE.open().read()),
        ("list_objects_v2", BUCKET.names),
        ("put_object", lambda: BUCKET.write("scored/1.parquet", b"rows")),
    ],
    ids=["list the input", "read the input", "list the output", "write the output"],
)
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("AccessDenied", "the key has no right to do this: a command needs one to list the bucket and read its objects"),
        ("SignatureDoesNotMatch", "the keys of this environment are missing or wrong"),
        ("NoSuchBucket", "the S3 holds no such bucket"),
    ],
)
def test_a_refusal_names_the_place_and_the_right(
    monkeypatch: pytest.MonkeyPatch, operation: str, use: Callable[[], object], code: str, message: str
) -> None:
    client = Objects(S3)._client
    monkeypatch.setattr(Objects, "_client", client)
    with Stubber(client) as answers:
        answers.add_client_error(operation, code, "refused", http_status_code=403)
        with pytest.raises(OutsideError, match=r"s3://archive/2025.* cannot be read or written: ") as raised:
            use()
    assert message in raised.value.message
    assert code in raised.value.message
    assert raised.value.hint
    assert "secret" not in raised.value.message


def test_files_of_a_bucket_share_a_client_and_others_do_not() -> None:
    one, other = table_bucket._reader(S3), table_bucket._reader(S3.model_copy(update={"bucket": "other"}))
    assert one is table_bucket._reader(S3.model_copy())
    assert one is not other
