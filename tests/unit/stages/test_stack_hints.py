"""A hint about a project's stack names the commands of the stack, not those that start or ask the embedded platform."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerelle.stages.stack_hints import for_stack

START = "passerelle up\nexport MLFLOW_TRACKING_URI=URL"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("MLFLOW_PORT", "BIND_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "deploy" / "secrets").mkdir(parents=True)
    (tmp_path / "deploy" / "compose.yaml").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("uri", "hint", "expected"),
    [
        ("http://127.0.0.1:5000", START, "passerelle up --target compose\nexport MLFLOW_TRACKING_URI=URL"),
        ("http://localhost:5000", 'eval "$(passerelle env)"', 'eval "$(passerelle env --target compose)"'),
        ("http://127.0.0.1:5000", "export NO_PROXY=a; passerelle deploy", "export NO_PROXY=a; passerelle deploy --target compose"),
        ("http://127.0.0.1:5000", "passerelle promote --best", "passerelle promote --best"),
        ("http://127.0.0.1:41059", START, START),
        ("https://mlflow.example.org", START, START),
        ("http://[::1", START, START),
        (None, START, f'eval "$(passerelle env --target compose)"\n{START}'),
        (None, "passerelle deploy", "passerelle deploy"),
    ],
)
def test_the_commands_of_the_server_that_was_asked_are_named(project: Path, uri: str | None, hint: str, expected: str) -> None:
    assert for_stack(hint, project, uri) == expected


def test_the_port_is_that_of_the_stack_and_a_stack_that_was_not_set_up_is_not_named(project: Path) -> None:
    (project / "deploy" / ".env").write_text("MLFLOW_PORT=15000\n")
    assert for_stack(START, project, "http://127.0.0.1:15000").startswith("passerelle up --target compose\n")
    assert for_stack(START, project, "http://127.0.0.1:5000") == START
    (project / "deploy" / "secrets").rmdir()
    assert for_stack(START, project, "http://127.0.0.1:15000") == START
    assert for_stack(START, project, None) == START
