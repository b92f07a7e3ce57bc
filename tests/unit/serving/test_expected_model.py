"""An image that holds another model than its deployment names is never ready."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerelle.errors import SettingsError
from passerelle.follow_settings import FollowSettings
from passerelle.model.lineage import read_lineage
from passerelle.serving.runtime import Runtime
from passerelle.serving.settings_check import check_settings
from passerelle.settings import ServiceSettings, reading_from
from tests.unit.serving.models import text_bento_model


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return text_bento_model(tmp_path_factory.mktemp("whole") / "test" / "7-00000000")


def started(folder: Path, expected: str) -> Runtime:
    with reading_from({"PASSERELLE_EXPECTED_DIGEST": expected}):
        runtime = Runtime.or_refused(folder, ServiceSettings.read())
        runtime.load_or_refuse()
    return runtime


def test_the_model_that_the_deployment_names_is_served(whole: Path) -> None:
    digest = read_lineage(whole)["artifact_digest"]
    assert started(whole, digest).readiness() == {"ready": True, "model_version": "7"}
    assert started(whole, "").readiness()["ready"] is True


def test_another_model_is_refused_in_words(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = "sha256:" + "0" * 64
    assert started(whole, other).readiness() == {"ready": False, "model_version": None, "reason": "model_refused"}
    said = capsys.readouterr().err
    assert "the image holds version 7 with the artifact digest sha256:" in said
    assert f"and the deployment expects {other}" in said


def test_what_is_no_digest_is_refused_before_any_worker_starts(whole: Path) -> None:
    runtime = Runtime.or_refused(whole, ServiceSettings.read())
    with reading_from({"PASSERELLE_EXPECTED_DIGEST": "sha256:short"}), pytest.raises(SettingsError, match="PASSERELLE_EXPECTED_DIGEST"):
        check_settings(runtime, FollowSettings.read())
