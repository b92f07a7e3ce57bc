"""The stack takes compose.follow.yaml exactly where its replicas are to follow, and its MLflow is brought up again when that changes."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from passerelle.follow_settings import FollowSettings
from passerelle.names import BentoTag
from passerelle.rollout.compose import StackDeployment
from passerelle.rollout.secret_files import make_secrets
from passerelle.rollout.stack import Stack
from passerelle.stages import stack_deploy, webhook_setup
from passerelle.stages.context import context_of

NAMES = ("PASSERELLE_FOLLOW", "PASSERELLE_FOLLOW_WEBHOOK")


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return Stack(tmp_path)


def files(monkeypatch: pytest.MonkeyPatch, stack: Stack, variables: Mapping[str, str] | None = None) -> list[str]:
    given: list[Sequence[str]] = []

    def run(command: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
        given.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    stack.compose("ps", variables=variables)
    stack.pipe("exec", "-T", "postgres", "true")
    both = [[Path(part).name for before, part in pairwise(each) if before == "--file"] for each in given]
    if variables is None:
        assert both[0] == both[1]
    return both[0]


def test_a_pinned_stack_takes_compose_yaml_alone(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    assert files(monkeypatch, stack) == ["compose.yaml"]
    assert stack.command == "docker compose -f compose.yaml"
    (stack.folder / ".env").write_text("PASSERELLE_FOLLOW=\nPASSERELLE_FOLLOW_WEBHOOK=on\n")
    assert files(monkeypatch, stack) == ["compose.yaml"]


@pytest.mark.parametrize("where", ["environment", ".env"])
def test_one_that_follows_takes_the_other_file_too(stack: Stack, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    if where == "environment":
        monkeypatch.setenv("PASSERELLE_FOLLOW", "production")
    else:
        (stack.folder / ".env").write_text("PASSERELLE_FOLLOW=production\n")
    assert files(monkeypatch, stack) == ["compose.yaml", "compose.follow.yaml"]
    assert stack.command == "docker compose -f compose.yaml -f compose.follow.yaml", "what a hint says works as it stands"
    assert files(monkeypatch, stack, {"PASSERELLE_FOLLOW": ""}) == ["compose.yaml"], "a pinned replica is put back as one"


@pytest.mark.parametrize(
    ("held", "follow", "webhook", "up_to_date"),
    [
        (None, "", "", True),
        (None, "", "on", True),
        (None, "production", "", False),
        ("off", "production", "", True),
        ("off", "production", "on", False),
        ("on", "production", "on", True),
        ("on", "production", "off", False),
        ("off", "", "", False),
    ],
)
def test_mlflow_is_brought_up_again_when_following_or_the_webhook_changes(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, held: str | None, follow: str, *, webhook: str, up_to_date: bool
) -> None:
    variables = ["POSTGRES_USER=mlflow_server", *([f"PASSERELLE_FOLLOW_WEBHOOK={held}"] if held else [])]
    monkeypatch.setattr(Stack, "containers", lambda _: {"mlflow": {"Config": {"Env": variables}}})
    for name, value in zip(NAMES, (follow, webhook), strict=True):
        monkeypatch.setenv(name, value)
    assert stack.mlflow_is_up_to_date() is up_to_date


def test_the_key_that_mlflow_encrypts_with_is_one_of_fernet(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    assert len(base64.urlsafe_b64decode((tmp_path / "mlflow_webhook_key").read_text())) == 32
    assert (tmp_path / "mlflow_follower").read_text() != (tmp_path / "mlflow_webhook_secret").read_text()


@pytest.mark.parametrize(("webhook", "dry_run", "created"), [("on", False, True), ("off", False, False), ("on", True, False)])
def test_each_replica_gets_a_webhook_of_its_own(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, webhook: str, dry_run: bool, created: bool
) -> None:
    (stack.folder / ".env").write_text(
        f"PASSERELLE_FOLLOW=production\nPASSERELLE_FOLLOW_WEBHOOK={webhook}\nPASSERELLE_FOLLOW_INTERVAL_S=\n"
    )
    asked: list[Any] = []

    def note(_: object, found: object, name: str, urls: Sequence[str], secret: Path) -> object:
        asked.append((name, list(urls), secret.name))
        return found

    monkeypatch.setattr(webhook_setup, "created", note)
    monkeypatch.setattr(Stack, "environment", lambda _: {})
    monkeypatch.setattr(stack_deploy, "release_of", lambda *_, **__: None)
    monkeypatch.setattr(stack_deploy, "deploy", lambda *_, **__: StackDeployment(None, None, "image", None, changed=True))  # type: ignore[arg-type]
    done = stack_deploy.deployed(context_of({}), stack, BentoTag("comments", "1-aaaa1111"), dry_run=dry_run, progress=lambda _: None)
    assert done.following is not None
    assert done.following.target == FollowSettings.read({"PASSERELLE_FOLLOW": "production"}).follow
    urls = ["http://service-1:3000/follow/webhook", "http://service-2:3000/follow/webhook"]
    assert asked == ([("passerelle-compose", urls, "mlflow_webhook_secret")] if created else [])


def test_docker_gets_what_the_second_file_refers_to(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    environments = []

    def run(command: Sequence[str], *, env: Mapping[str, str], **_: Any) -> subprocess.CompletedProcess[str]:
        environments.append(env)
        return subprocess.CompletedProcess(command, 0, "", "")

    (stack.folder / "compose.yaml").write_text("a: ${SERVICE_PORT:-3000}\n")
    (stack.folder / "compose.follow.yaml").write_text("a: ${PASSERELLE_FOLLOW}, ${PASSERELLE_FOLLOW_INTERVAL_S:-2}\n")
    monkeypatch.setenv("PASSERELLE_FOLLOW_INTERVAL_S", "5")
    monkeypatch.setattr(subprocess, "run", run)
    stack.compose("ps")
    monkeypatch.setenv("PASSERELLE_FOLLOW", "production")
    stack.compose("ps")
    assert [each.get("PASSERELLE_FOLLOW_INTERVAL_S") for each in environments] == [None, "5"]
