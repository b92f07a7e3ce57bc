"""The key that MLflow encrypts the secrets of webhooks with: made once, private, and opened to this machine only where it is asked for."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from passerelle.errors import OutsideError
from passerelle.platform.mlflow_server import webhook_environment
from passerelle.platform.private_file import private_key

KEY = "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY"


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PASSERELLE_FOLLOW_WEBHOOK", raising=False)


def test_the_key_is_made_once_private_and_of_32_bytes(tmp_path: Path) -> None:
    first = webhook_environment(tmp_path)
    assert webhook_environment(tmp_path) == first
    assert list(first) == [KEY]
    assert len(base64.urlsafe_b64decode(first[KEY])) == 32
    (file,) = tmp_path.iterdir()
    assert oct(file.stat().st_mode & 0o777) == "0o600"
    assert private_key(tmp_path / "other") != first[KEY]


@pytest.mark.parametrize(("value", "opened"), [("on", True), ("true", True), ("off", False), ("false", False)])
def test_mlflow_may_call_this_machine_only_where_webhooks_are_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, opened: bool
) -> None:
    monkeypatch.setenv("PASSERELLE_FOLLOW_WEBHOOK", value)
    expected = {"MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https", "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true"} if opened else {}
    assert {name: each for name, each in webhook_environment(tmp_path).items() if name != KEY} == expected


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 44, b"A" * 44, b"A" * 43 + b"=x"])
def test_what_is_no_key_is_not_overwritten(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "webhook_key"
    path.write_bytes(content)
    with pytest.raises(OutsideError, match="webhook_key") as found:
        webhook_environment(tmp_path)
    assert found.value.hint
    assert path.read_bytes() == content
