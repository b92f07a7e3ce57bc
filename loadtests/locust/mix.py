"""The ordinary mix: single comments, batches, mistakes, and new connections.

    locust -f loadtests/locust/mix.py --headless --users 24 --run-time 20s --host http://127.0.0.1:3000

A mistake counts as answered when it is refused as the contract says.
"""

from __future__ import annotations

from loadtests.locust.thresholds import Thresholds
from loadtests.locust.users import Batches, Mistaken, Newcomer, OneAtATime
from loadtests.locust.watch import Watch

__all__ = ["Batches", "Mistaken", "Newcomer", "OneAtATime"]

Watch("mix", Thresholds(p99_ms=60, requests_per_s=100)).attach()
