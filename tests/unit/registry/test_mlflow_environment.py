"""MLflow's S3 clients are kept for the registry that they were made for, and for no other code of the process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from mlflow.store.artifact import s3_artifact_repo

from passerelle.registry.mlflow_environment import MlflowEnvironment
from passerelle.settings import MlflowSettings, S3Settings


def environment(key: str) -> MlflowEnvironment:
    s3 = S3Settings.read(endpoint_url="http://127.0.0.1:9", access_key_id=key, secret_access_key="secret", region="us-east-1")
    return MlflowEnvironment(MlflowSettings.read(tracking_uri="http://127.0.0.1:9"), s3)


def s3_client() -> Any:
    get_client: Any = s3_artifact_repo._get_s3_client
    return get_client()


def client(of: MlflowEnvironment) -> Any:
    with of.calling(artifacts=True):
        return s3_client()


def key(made: Any) -> str:
    return str(made._request_signer._credentials.access_key)


@pytest.fixture(autouse=True)
def keys_of_the_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {"AWS_ACCESS_KEY_ID": "outside", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    s3_artifact_repo._cached_get_s3_client.cache_clear()
    yield
    s3_artifact_repo._cached_get_s3_client.cache_clear()


def test_each_has_one_client_for_all_of_its_calls() -> None:
    ours, theirs = environment("ours"), environment("theirs")
    first, other = client(ours), client(theirs)
    assert (key(first), key(other)) == ("ours", "theirs")
    assert client(ours) is first
    assert client(theirs) is other
    with ours.calling(artifacts=True):
        assert client(theirs) is other, "a call within a call"
        assert s3_client() is first


def test_other_code_of_the_process_keeps_the_client_that_it_had() -> None:
    outside = s3_client()
    assert key(outside) == "outside"
    client(environment("ours"))
    assert s3_client() is outside


@pytest.mark.parametrize("name", ["AWS_CA_BUNDLE", "HTTPS_PROXY", "no_proxy", "AWS_REQUEST_CHECKSUM_CALCULATION"])
def test_a_client_is_made_again_for_other_variables(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    ours = environment("ours")
    first = client(ours)
    monkeypatch.setenv(name, "when_required")
    assert client(ours) is not first


def test_a_process_that_was_forked_makes_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = environment("ours")
    first = client(ours)
    monkeypatch.setattr("passerelle.registry.mlflow_environment.os.getpid", lambda: 1)
    assert client(ours) is not first
