"""Two replicas behind one address, one of which is restarted in the middle of a swap."""

from __future__ import annotations

import time

from tests.follow.followed import Followed, replica, until
from tests.follow.load import Load


def restarted(followed: Followed) -> None:
    """Let both follow, and restart one while it downloads; clients go to the other one meanwhile."""
    with replica(followed.folder / "second", followed.store, followed.options, workers=1) as second:
        addresses = [second.service.address, followed.replica.service.address]
        load = Load(followed.versions.answers_file, followed.folder / f"both-{time.monotonic_ns()}.txt", addresses)
        try:
            ref = followed.promote(followed.other())
            until(lambda: second.answers_with(ref.version), f"version {ref.version} from the second", second.board.state)
            again = followed.promote(followed.other())
            second.service.child.stop()
            second.service.child.start()
            second.service.child.wait_until_healthy(90)
            until(lambda: second.answers_with(again.version), f"version {again.version} from the second", second.board.state)
        finally:
            load.stop()
        traffic = load.since(0)
        assert (traffic.failed, traffic.wrong) == (0, 0), traffic.statuses
        assert {str(ref.version), str(again.version)} <= set(traffic.versions)
    followed.mended = time.monotonic()
