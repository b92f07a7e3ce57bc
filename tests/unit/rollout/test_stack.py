"""What the stack says of itself, read back from compose's own view of compose.yaml, and its refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerelle.rollout.stack import Stack

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("values", "address"),
    [
        ({}, "http://127.0.0.1:3000"),
        ({"SITE_ADDRESS": "http://:8080"}, "http://127.0.0.1:3000"),
        ({"SITE_ADDRESS": "classify.example.org"}, "https://classify.example.org:3443"),
        ({"SITE_ADDRESS": "classify.example.org", "SERVICE_TLS_PORT": "443"}, "https://classify.example.org"),
        ({"SITE_ADDRESS": "https://classify.example.org:8443, other.example.org"}, "https://classify.example.org:3443"),
    ],
)
def test_the_service_is_where_its_certificate_is_for(
    values: dict[str, str], address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stack, "address", lambda *_: "http://127.0.0.1:3000")
    for name in ("SITE_ADDRESS", "SERVICE_TLS_PORT"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    assert Stack(tmp_path).service_address() == address
