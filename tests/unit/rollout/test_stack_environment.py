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
