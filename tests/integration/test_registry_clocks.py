"""A machine whose clock is a day off compares, registers, promotes and imports as any other, on a real MLflow and a real S3."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from passerelle.registry.verified import history
from passerelle.settings import StoreSettings
from passerelle.stages.compare import compare
from passerelle.stages.import_model import import_model
from passerelle.stages.register import register
from tests.platform_fixtures import RegisteredForTests, moved

pytestmark = pytest.mark.integration
A_DAY_S = 86_400


@contextmanager
def clock_off_by(days: int) -> Iterator[None]:
    """Let the clock of this process be wrong."""
    right = time.time
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.time", lambda: right() + days * A_DAY_S)
        patch.setattr(
            "passerelle.registry.ledger.now", lambda: (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="milliseconds")
        )
        yield


def test_a_clock_that_is_a_day_off_changes_nothing_that_is_decided(registered: RegisteredForTests, tmp_path: Path) -> None:
    registry, criteria, store = registered.fresh(), registered.criteria, StoreSettings.read(bentoml_home=tmp_path)
    name, (run_id, *_), right = registry.settings.registered_model, registered.run_ids, compare(registry, registered.criteria)
    with clock_off_by(1):
        assert compare(registry, criteria) == right
        first = register(registry, run_id=run_id, criteria=criteria)
        assert first.ref is not None
        moved(registry, first.ref)
    with clock_off_by(-1):
        assert compare(registry, criteria) == right
        imported = import_model(registry, store)
        assert (first.created, imported.created, imported.ref) == (True, True, first.ref)
    # And by the right clock: what a wrong one wrote is found again.
    assert register(registry, run_id=run_id, criteria=criteria).created is False
    assert import_model(registry, store).created is False
    assert moved(registry, first.ref).changed is False
    found = history(registry, name)
    assert (found.findings, [entry.to_version for entry in found.entries]) == ((), [1])
