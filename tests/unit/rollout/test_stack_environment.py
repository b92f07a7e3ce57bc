"""What `passerelle env --target compose` exports: the stack counts as production from every machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerelle.known_settings import refuse_unknown
from passerelle.rollout.secret_files import make_secrets
from passerelle.rollout.stack import Stack
from passerelle.settings import StateSettings


def test_the_stack_is_production(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_secrets(tmp_path / "secrets")
    monkeypatch.setattr(Stack, "address", lambda _, service, port: f"http://{service}.invalid:{port}")
    exported = Stack(tmp_path).environment()
    assert exported["PASSERELLE_ENVIRONMENT"] == "production"
    refuse_unknown(exported)
    for name, value in exported.items():
        monkeypatch.setenv(name, value)
    assert StateSettings.read().environment == "production"


def test_the_log_has_a_bucket_of_its_own_and_on_another_s3_only_where_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_secrets(tmp_path / "secrets")
    monkeypatch.setattr(Stack, "address", lambda _, service, port: f"http://{service}.invalid:{port}")
    stack = Stack(tmp_path)
    assert stack.environment()["PASSERELLE_LOG_BUCKET"] == "passerelle-predictions"
    monkeypatch.setenv("S3_BUCKET", "ours")
    assert stack.environment()["PASSERELLE_LOG_BUCKET"] == "ours-predictions"
    monkeypatch.setenv("S3_ACCESS_KEY_ID", "team")
    assert "PASSERELLE_LOG_BUCKET" not in stack.environment()
    monkeypatch.setenv("S3_LOG_BUCKET", "answers")
    assert stack.environment()["PASSERELLE_LOG_BUCKET"] == "answers"
