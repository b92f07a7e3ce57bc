"""`env` says what the service follows, and that polling alone is on; of a pinned service it says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerelle.stages import env
from passerelle.stages.context import context_of


@pytest.mark.parametrize(
    ("follow", "said"),
    [
        ({}, []),
        (
            {"PASSERELLE_FOLLOW": "production"},
            ["the service follows production: polls every 2 s; polling alone is on: PASSERELLE_FOLLOW_WEBHOOK is off"],
        ),
        (
            {"PASSERELLE_FOLLOW": "production", "PASSERELLE_FOLLOW_WEBHOOK": "on"},
            ["the service follows production: polls every 2 s, and at once when MLflow's webhook calls"],
        ),
    ],
)
def test_what_is_followed_is_said_first(tmp_path: Path, follow: dict[str, str], said: list[str]) -> None:
    notes: list[str] = []
    env.run(context_of({"PASSERELLE_STATE_DIR": str(tmp_path), **follow}), progress=notes.append)
    assert [each for each in notes if "follows" in each] == said
    assert notes[: len(said)] == said
