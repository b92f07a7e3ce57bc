"""The mix at a moderate rate for as long as `--run-time` says: nothing fails, nothing slows down, memory stays flat.

    locust -f loadtests/locust/soak.py --headless --users 16 --run-time 1h --host http://127.0.0.1:3000 --service-pid PID

Memory is watched where the service's process is named; `make load` names it.
"""

from __future__ import annotations

from loadtests.locust.thresholds import Thresholds
from loadtests.locust.users import Batches, Mistaken, Newcomer, OneAtATime
from loadtests.locust.watch import Watch

__all__ = ["Batches", "Mistaken", "Newcomer", "OneAtATime"]

Watch("soak", Thresholds(p99_ms=60, requests_per_s=60, memory_growth_mib=16)).attach()
