"""A few of the kills and races of `python -m tests.kills`, on the platform that the other tests have."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerelle.registry.verified import history
from tests.kills import PAIRS, kill_ground, killed, raced, runs_with_several_versions
from tests.platform_fixtures import RegisteredForTests

pytestmark = pytest.mark.integration
#: Seeds that kill between two writes.
KILLS = (("promote", 1), ("promote", 2), ("rollback", 1), ("rollback", 3), ("register", 0), ("import", 0))


def test_what_kills_and_races_leave_is_mended_by_what_status_names(registered: RegisteredForTests, tmp_path: Path) -> None:
    with kill_ground(registered.registry, registered.run_ids, tmp_path) as ground:
        ends = [killed(ground, command, seed) for command, seed in KILLS]
        ends += [raced(ground, pair, 0) for pair in (PAIRS[0], PAIRS[3])]
        assert any(end.startswith("killed") for end in ends), ends
        assert ground.problems == []
        assert runs_with_several_versions(ground) == []
        assert history(ground.registry, ground.name).findings == ()
