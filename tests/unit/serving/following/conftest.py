"""A registry with versions of small real models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.serving.following.registry_double import RegistryDouble, running
from tests.unit.serving.models import text_pipeline, text_table, write_bento_model


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Return the directories of two versions that differ in their labels."""
    folder, (records, labels) = tmp_path_factory.mktemp("versions"), text_table()
    other = text_pipeline().fit(records, [f"autre {label}" for label in labels])
    return {
        1: write_bento_model(folder / "1", text_pipeline(), records, version="1", run_id="1" * 32),
        2: write_bento_model(folder / "2", other, records, version="2", run_id="2" * 32),
    }


@pytest.fixture
def registry(versions: dict[int, Path]) -> Iterator[RegistryDouble]:
    with running() as double:
        for version, folder in versions.items():
            double.register(version, folder)
        double.promote(1, 1)
        yield double
