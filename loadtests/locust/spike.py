"""A spike: a few who ask, then very many at once, then a few again.

    locust -f loadtests/locust/spike.py --headless --host http://127.0.0.1:3000

While it lasts, 503 with `Retry-After` is a good answer; before and after, nothing but a prediction is, and the limit of time is the mix's.
"""

from __future__ import annotations

from typing import Any, ClassVar

from locust import LoadTestShape, constant, events, task

from loadtests.locust.thresholds import IN_SPIKE, Thresholds
from loadtests.locust.users import Citizen
from loadtests.locust.watch import Watch

Watch("spike", Thresholds(p99_ms=60, requests_per_s=100)).attach()
_PAUSE_S = 0.05


def _options(parser: Any, **_: Any) -> None:
    group = parser.add_argument_group("Spike")
    group.add_argument("--few", type=int, default=8, help="users before and after")
    group.add_argument("--many", type=int, default=400, help="users at the spike")
    group.add_argument("--stage-seconds", type=float, default=8.0, help="length of each stage; settling is a quarter of one")


events.init_command_line_parser.add_listener(_options)


class Spike(LoadTestShape):
    """Before, during, and after, once what the spike left in the queue has been answered."""

    ends: ClassVar[dict[str, float]] = {"before": 1.0, "during": 2.0, "settling": 2.25, "after": 3.25}

    def stage(self) -> str | None:
        """Return the stage that is on, None when all are over."""
        stages = self.get_run_time() / self._options().stage_seconds
        return next((name for name, end in self.ends.items() if stages < end), None)

    def tick(self) -> tuple[int, float] | None:
        """Return how many users there are to be, and how fast they come."""
        options, stage = self._options(), self.stage()
        if stage is None:
            return None
        users = options.many if stage == "during" else options.few
        return users, float(options.many)

    def _options(self) -> Any:
        assert self.runner is not None  # noqa: S101 - locust sets it before the first tick
        return self.runner.environment.parsed_options


class InTheSpike(Citizen):
    """Sends one comment after the other, and comes back when told to."""

    wait_time = constant(_PAUSE_S)

    @task
    def one(self) -> None:
        """Send one comment; being told to come back is an answer while the spike lasts."""
        stage = self.environment.shape_class.stage() or "after"
        self.classify(f"POST /classify ({stage})")

    def judge(self, answer: Any) -> None:
        """Count 503 with `Retry-After` as good at the spike, under a name of its own, so that it does not count as a fast answer."""
        told_to_wait = answer.status_code == 503 and answer.headers.get("retry-after")  # noqa: PLR2004
        if told_to_wait and answer.request_meta["name"].endswith(IN_SPIKE):
            answer.request_meta["name"] = "told to come back"
            answer.success()
        else:
            super().judge(answer)
