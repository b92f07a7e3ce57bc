"""Whether a service was started here is known without the settings, where nothing else says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerelle.cli.connect import nothing_started_here


def test_other_settings_and_files_of_a_service_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PASSERELLE_SERVICE_ADDRESS", "PASSERELLE_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.environ", {})
    assert nothing_started_here()
    monkeypatch.setattr("os.environ", {"passerelle_service_address": "http://there"})
    assert not nothing_started_here()
    (tmp_path / "state" / "services").mkdir(parents=True)
    monkeypatch.setattr("os.environ", {"PASSERELLE_STATE_DIR": "state"})
    assert nothing_started_here()
    (tmp_path / "state" / "services" / "a.json").write_text("{}")
    assert not nothing_started_here()
