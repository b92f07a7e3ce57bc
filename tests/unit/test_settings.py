"""Settings: frozen, documented, and refused when unknown or out of range."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerelle.errors import SettingsError
from passerelle.known_settings import all_settings, refuse_unknown
from passerelle.settings import MlflowSettings, S3Settings, ServiceSettings, variable_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"


def test_each_setting_is_documented_with_its_default_and_meaning() -> None:
    page = PAGE.read_text()
    for group in all_settings():
        for name, info in group.model_fields.items():
            assert info.description, name
            default = "—" if info.is_required() or info.default in (None, "") else f"`{info.default}`"
            lines = [line for line in page.splitlines() if f"`{variable_of(group, name)}`" in line]
            assert len(lines) == 1, variable_of(group, name)
            assert f"| {default} | {info.description} |" in lines[0]


def test_the_variables_of_plain_tools_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PASSERELLE_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://there")
    assert MlflowSettings.read().tracking_uri == "http://there"
    monkeypatch.setenv("PASSERELLE_TRACKING_URI", "http://ours")
    assert MlflowSettings.read().tracking_uri == "http://ours"


def test_a_wrong_value_names_the_variable_and_never_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSERELLE_MAX_RECORDS", "hunter2")
    with pytest.raises(SettingsError, match="PASSERELLE_MAX_RECORDS") as refused:
        ServiceSettings.read()
    assert "hunter2" not in str(refused.value)


def test_a_secret_is_not_shown() -> None:
    assert "hunter2" not in repr(S3Settings.read(secret_access_key="hunter2"))


def test_an_unknown_variable_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(SettingsError, match="PASSERELLE_MAX_RECORD ") as refused:
        refuse_unknown({"PASSERELLE_MAX_RECORD": "3"})
    assert "did you mean PASSERELLE_MAX_RECORDS?" in refused.value.message
    assert refused.value.hint == "unset PASSERELLE_MAX_RECORD"
