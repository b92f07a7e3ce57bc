"""Plain `bentoml containerize` makes an image of the same bento that runs as hardened and answers the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from passerelle.bentos.engine import inspect
from passerelle.rollout.container import smoke
from tests.engine_fixtures import TAG, BentoForTests, removed

pytestmark = [pytest.mark.integration, pytest.mark.engine]


def test_plain_bentoml_containerize_gives_an_image_that_runs_as_hardened(
    bento: BentoForTests, given_environment: dict[str, str], tmp_path: Path
) -> None:
    name = f"{bento.repository}:plain"
    # Nothing names the store: it is found as that of the folder.
    (tmp_path / ".passerelle").mkdir()
    (tmp_path / ".passerelle" / "bentoml").symlink_to(str(bento.settings.bentoml_home))
    command = [sys.executable, "-m", "bentoml", "containerize", str(TAG), "--image-tag", name]
    environment = given_environment | {"BENTOML_DO_NOT_TRACK": "true"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    try:
        report = smoke(bento.engine, name, bento.golden, expected_version="7", environment={"BENTOML_HOME": "/tmp/bentoml"})  # noqa: S108
        assert report.smoke.inputs == len(bento.golden.inputs)
        assert report.smoke.largest_difference < 1e-9
        held, ours = inspect(bento.engine, name), inspect(bento.engine, str(bento.image().image))
        assert held is not None
        assert ours is not None
        assert ours["Size"] < held["Size"], "what `passerelle containerize` is for"
    finally:
        removed(bento.engine, name)
