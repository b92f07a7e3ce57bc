"""Small data, and a real MLflow with a real S3 behind it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from passerelle.platform.embedded import EmbeddedPlatform
from passerelle.platform.state import RunningPlatform


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    with EmbeddedPlatform(Path(tmp_path_factory.mktemp("platform"))) as embedded:
        yield embedded.running


@pytest.fixture
def plain_environment(platform: RunningPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("MLFLOW_", "AWS_", "PASSERELLE_", "BENTOML_")):
            monkeypatch.delenv(name)
    for name, value in platform.environment.items():
        monkeypatch.setenv(name, value)
