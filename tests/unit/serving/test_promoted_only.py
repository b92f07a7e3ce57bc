"""In production, the service itself refuses a version that no promotion put there."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerelle.errors import SettingsError
from passerelle.follow_settings import FollowSettings
from passerelle.serving.following.target import targets
from passerelle.serving.runtime import Runtime
from passerelle.settings import ServiceSettings
from tests.unit.serving.models import text_bento_model, vouch_for


@pytest.mark.parametrize("environment", ["production", "development"])
@pytest.mark.parametrize("promoted", [True, False], ids=["promoted", "never promoted"])
def test_what_was_never_promoted_is_not_served_in_production(
    environment: str, promoted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PASSERELLE_ENVIRONMENT", environment)
    folder = text_bento_model(tmp_path / "model")
    if promoted:
        vouch_for(folder)
    runtime = Runtime(folder, ServiceSettings.read())
    runtime.load_or_refuse()
    served = promoted or environment == "development"
    assert runtime.readiness()["ready"] is served
    if not served:
        told = capsys.readouterr().err
        assert "no promotion put it there" in told
        assert "passerelle promote --version 7; passerelle import --version 7; passerelle build" in told


def test_production_follows_no_alias_without_the_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    given = FollowSettings.read(follow="production", follow_ledger="off", follow_tracking_uri="http://127.0.0.1:1")
    assert targets(given, "comments")
    monkeypatch.setenv("PASSERELLE_ENVIRONMENT", "production")
    with pytest.raises(SettingsError, match="only versions are served that the ledger put there") as refused:
        targets(given, "comments")
    assert refused.value.hint == "export PASSERELLE_FOLLOW_LEDGER=on"
