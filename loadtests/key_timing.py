"""Whether the time to refuse a key says anything about the keys that there are: `python -m loadtests.key_timing`.

Wrong keys of several kinds are checked in random order, each many times; of each kind the lower half of the times counts, since what
comes on top is the machine's. Prints the mean of each kind, its difference from the first kind, and Welch's t. Ends with 1 where a kind
that knows something of a real key differs from one that does not by more than `MOST_NS`.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from passerelle.api_keys import KeyRing, make_key, read_keys

ROUNDS, KEYS = 20_000, 200
#: A network adds a thousand times as much noise.
MOST_NS = 100.0


def kinds(token: str) -> Mapping[str, str]:
    """Return a wrong key of each kind, all of one length."""
    key_id, secret = token[:17], token[17:]
    other = "A" if secret[0] != "A" else "B"
    return {
        "nothing is right": "psl_000000000000_" + other * len(secret),
        "a real id": key_id + other * len(secret),
        "a real id, half of the secret": key_id + secret[: len(secret) // 2] + other * (len(secret) - len(secret) // 2),
        "a real id, all but the last character": key_id + secret[:-1] + ("A" if secret[-1] != "A" else "B"),
    }


def measured(ring: KeyRing, tokens: Mapping[str, str]) -> dict[str, list[int]]:
    """Return the lower half of the times of each kind, in nanoseconds."""
    times: dict[str, list[int]] = {kind: [] for kind in tokens}
    chosen = random.Random(0)  # noqa: S311 - for an order
    for _ in range(ROUNDS):
        for kind in chosen.sample(sorted(tokens), len(tokens)):
            began = time.perf_counter_ns()
            ring.owner(tokens[kind])
            times[kind].append(time.perf_counter_ns() - began)
    return {kind: sorted(each)[: len(each) // 2] for kind, each in times.items()}


def main() -> int:
    """Measure and print; return the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "keys.json"
        token = [make_key(path, f"key {number}").token for number in range(KEYS)][-1]
        ring = KeyRing(read_keys(path))
    times = measured(ring, kinds(token))
    (_, first), *_ = times.items()
    worst = 0.0
    for kind, each in times.items():
        difference = statistics.fmean(each) - statistics.fmean(first)
        error = (statistics.variance(each) / len(each) + statistics.variance(first) / len(first)) ** 0.5
        worst = max(worst, abs(difference))
        sys.stdout.write(f"{kind:<40}{statistics.fmean(each):>9.0f} ns{difference:>+8.0f} ns   t = {difference / error:+.1f}\n")
    return 1 if worst > MOST_NS else 0


if __name__ == "__main__":
    sys.exit(main())
