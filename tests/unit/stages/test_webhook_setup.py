"""The webhook is an addition: whatever keeps it from being made is told, and `deploy` goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from passerelle.errors import OutsideError
from passerelle.follow_settings import FollowSettings
from passerelle.registry import webhooks
from passerelle.stages import webhook_setup
from passerelle.stages.context import Context, context_of

ADDRESS = "http://127.0.0.1:3000"
FOLLOWS = {"PASSERELLE_FOLLOW": "production", "PASSERELLE_FOLLOW_WEBHOOK": "on"}
SETTINGS = FollowSettings.read(FOLLOWS)


def context(folder: Path, server: str | None = "http://127.0.0.1:5000") -> Context:
    given = {"PASSERELLE_STATE_DIR": str(folder / "state"), **({"MLFLOW_TRACKING_URI": server} if server else {})}
    return context_of(given)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []

    def keep(_: object, name: str, urls: Sequence[str], secret: str) -> int:
        found.append((name, tuple(urls), secret))
        return 1

    monkeypatch.setattr(webhooks, "keep_webhooks", keep)
    monkeypatch.setattr(Context, "registry", None)
    return found


def test_the_webhook_is_made_with_the_secret_of_a_private_file(tmp_path: Path, asked: list[tuple[Any, ...]]) -> None:
    found = webhook_setup.here(context(tmp_path), SETTINGS, ADDRESS, "themes")
    path = webhook_setup.secret_file(context(tmp_path), SETTINGS)
    assert path == tmp_path / "state" / "webhook_secret"
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    assert asked == [(webhook_setup.name_here(context(tmp_path), "themes"), (f"{ADDRESS}/follow/webhook",), path.read_text().strip())]
    assert found is not None
    assert found.webhook
    assert webhook_setup.name_here(context(tmp_path), "themes") != webhook_setup.name_here(context(tmp_path / "other"), "themes")
    assert webhook_setup.name_here(context(tmp_path), "themes") != webhook_setup.name_here(context(tmp_path), "classification")


def test_the_secret_that_was_named_is_used_and_never_written(tmp_path: Path, asked: list[tuple[Any, ...]]) -> None:
    secret = tmp_path / "mine"
    secret.write_text("a-secret-of-mine-that-is-long\n")
    webhook_setup.here(context(tmp_path), SETTINGS.model_copy(update={"follow_webhook_secret_file": secret}), ADDRESS, "themes")
    assert asked[0][2] == "a-secret-of-mine-that-is-long"
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("given", [{}, {"PASSERELLE_FOLLOW_WEBHOOK": "on"}, {"PASSERELLE_FOLLOW": "production"}])
def test_nothing_is_asked_of_mlflow_where_no_webhook_is_wanted(tmp_path: Path, asked: list[tuple[Any, ...]], given: dict[str, str]) -> None:
    settings = FollowSettings.read(given)
    assert not webhook_setup.wants_webhook(settings)
    found = webhook_setup.here(context(tmp_path), settings, ADDRESS, "themes")
    webhook_setup.removed(context(tmp_path), settings, "themes")
    assert (found is not None) == ("PASSERELLE_FOLLOW" in given)
    assert asked == []


@pytest.mark.parametrize(
    ("server", "words"), [("https://mlflow.example.org", "cannot call http://127.0.0.1:3000"), (None, "no MLflow server")]
)
def test_an_mlflow_elsewhere_is_not_told_to_call_its_own_loopback(
    tmp_path: Path, asked: list[tuple[Any, ...]], server: str | None, words: str
) -> None:
    found = webhook_setup.here(context(tmp_path, server), SETTINGS, ADDRESS, "themes")
    assert found is not None
    assert not found.webhook
    assert words in str(found)
    assert asked == []


def test_a_refusal_is_told_and_harmless(tmp_path: Path, asked: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OutsideError("MLflow refuses the address", hint="passerelle up")

    monkeypatch.setattr(webhooks, "keep_webhooks", refuse)
    found = webhook_setup.here(context(tmp_path), SETTINGS, ADDRESS, "themes")
    assert found is not None
    assert (found.webhook, found.problem, found.next_command) == (False, "MLflow refuses the address", "passerelle up")
    webhook_setup.removed(context(tmp_path), SETTINGS, "themes")


@pytest.mark.parametrize(("content", "words"), [(None, "cannot be read"), ("short", "shorter than 16")])
def test_a_secret_that_cannot_be_used_is_told_and_harmless(
    tmp_path: Path, asked: list[tuple[Any, ...]], content: str | None, words: str
) -> None:
    secret = tmp_path / "mine"
    if content is not None:
        secret.write_text(content)
    found = webhook_setup.here(context(tmp_path), SETTINGS.model_copy(update={"follow_webhook_secret_file": secret}), ADDRESS, "themes")
    assert found is not None
    assert not found.webhook
    assert words in str(found)
    assert asked == []


def test_the_webhook_of_a_service_that_ended_is_deleted(tmp_path: Path, asked: list[tuple[Any, ...]]) -> None:
    webhook_setup.removed(context(tmp_path), SETTINGS, "themes")
    assert asked == [(webhook_setup.name_here(context(tmp_path), "themes"), (), "")]
