"""Secrets from files: each variable of a secret has its `_FILE`, for our settings and for what MLflow and boto3 read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from passerelle.client_settings import ClientSettings
from passerelle.errors import SettingsError
from passerelle.follow_settings import FollowSettings
from passerelle.known_settings import all_settings, refuse_unknown, with_all_secrets
from passerelle.log_settings import LogSettings
from passerelle.secret_variables import secret_variables
from passerelle.settings import S3Settings, SigningSettings
from passerelle.stages.context import context_of

NAMES = sorted({name for group in all_settings() for name, own in secret_variables(group) if not own})


def test_the_secrets_are_those_that_are_known() -> None:
    assert set(NAMES) == {
        "AWS_SECRET_ACCESS_KEY",
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_TRACKING_TOKEN",
        "PASSERELLE_API_KEY",
        "PASSERELLE_FOLLOW_TOKEN",
        "PASSERELLE_S3_SECRET_ACCESS_KEY",
        "PASSERELLE_SIGNING_KEY_PASSWORD",
    }


@pytest.mark.parametrize("name", NAMES)
def test_each_secret_is_read_from_a_file(tmp_path: Path, name: str) -> None:
    (path := tmp_path / "secret").write_text("l'été: hunter2 \r\n")
    variables = with_all_secrets({f"{name}_FILE": str(path), "HOME": "/"})
    assert variables == {name: "l'été: hunter2 ", "HOME": "/"}
    refuse_unknown({f"{name}_FILE": str(path)})
    assert with_all_secrets(variables) == variables


def test_settings_read_the_file_and_do_not_show_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path := tmp_path / "secret").write_text("hunter2\n")
    monkeypatch.setenv("PASSERELLE_API_KEY_FILE", str(path))
    key = ClientSettings.read().api_key
    assert key is not None
    assert key.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(ClientSettings.read())
    for group, field in ((S3Settings, "secret_access_key"), (FollowSettings, "follow_token"), (SigningSettings, "signing_key_password")):
        name = list(secret_variables(group))[-1][0]
        assert getattr(group.read({f"{name}_FILE": str(path)}), field).get_secret_value() == "hunter2"


def test_mlflow_and_boto3_get_the_secrets_of_the_files(tmp_path: Path) -> None:
    (path := tmp_path / "secret").write_text("hunter2")
    files = {"AWS_SECRET_ACCESS_KEY_FILE": str(path), "MLFLOW_TRACKING_PASSWORD_FILE": str(path)}
    context = context_of({"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "PASSERELLE_STATE_DIR": str(tmp_path), **files})
    assert context.environment["MLFLOW_TRACKING_PASSWORD"] == context.environment["AWS_SECRET_ACCESS_KEY"] == "hunter2"
    assert context.s3.variables()["AWS_SECRET_ACCESS_KEY"] == "hunter2"
    assert not files.keys() & context.environment.keys()


@pytest.mark.parametrize("name", [*NAMES, "PASSERELLE_FOLLOW_PASSWORD", "PASSERELLE_LOG_DIGEST_KEY"])
def test_a_secret_that_is_given_twice_is_refused(tmp_path: Path, name: str) -> None:
    (path := tmp_path / "secret").write_text("hunter2")
    with pytest.raises(SettingsError, match=f"{name} and {name}_FILE are both set") as refused:
        with_all_secrets({name: "hunter3", f"{name}_FILE": str(path)})
    assert "hunter" not in f"{refused.value.message} {refused.value.hint}"


def test_a_file_with_a_setting_of_its_own_is_left_to_who_reads_it(tmp_path: Path) -> None:
    named = {"PASSERELLE_LOG_DIGEST_KEY_FILE": str(tmp_path / "later"), "PASSERELLE_FOLLOW_PASSWORD_FILE": str(tmp_path / "later")}
    assert with_all_secrets(named) == named
    assert LogSettings.read(named).log_digest_key_file == tmp_path / "later"
    assert FollowSettings.read(named).follow_password_file == tmp_path / "later"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"hunter2\xff", "is not UTF-8"),
        (b"hunter2\0", "holds a null byte"),
        (b"hunter2" * 10_000, "holds more than 65,536 bytes"),
        ("folder", "Is a directory"),
        ("pipe", "is not a regular file"),
        (None, "No such file"),
    ],
)
def test_a_file_that_holds_no_secret_is_named_and_not_quoted(tmp_path: Path, content: bytes | str | None, reason: str) -> None:
    path = tmp_path / "secret"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "folder":
        path.mkdir()
    elif content == "pipe":
        os.mkfifo(path)
    with pytest.raises(SettingsError, match=f"secret, which PASSERELLE_API_KEY_FILE names,.*{reason}") as refused:
        ClientSettings.read({"PASSERELLE_API_KEY_FILE": str(path)})
    assert "hunter2" not in f"{refused.value.message} {refused.value.hint}"


def test_a_name_that_is_empty_is_refused() -> None:
    with pytest.raises(SettingsError, match="an empty name, which AWS_SECRET_ACCESS_KEY_FILE names,"):
        S3Settings.read({"AWS_SECRET_ACCESS_KEY_FILE": ""})
