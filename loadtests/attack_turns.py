"""How long the service itself makes an honest request wait beside each attack: the CPU time of the turns of its event loop.

    python -m loadtests.attack_turns                     every attack, under two minutes; ends with 1 where a turn is too long
    python -m loadtests.attack_turns "heads" --seconds 10

An event loop answers nobody before its turn is over. CPU time does not depend on what else runs on the machine, so that no client's share
is in these figures; `python -m loadtests.bad_clients` measures what an honest client sees, with the clients' share.
"""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtests.attacks.kinds import KINDS
from passerelle.api_keys import make_key
from tests.service_fixtures import serve, write_store

ROOT = Path(__file__).resolve().parents[1]
#: Of the turns that do anything, 99 of 100 are shorter: three honest requests of 450 characters at once.
MOST_P99_MS = 1.0


@dataclass(frozen=True)
class Turns:
    """The turns beside one attack, by the CPU time of each in microseconds, in order."""

    attack: str
    microseconds: Sequence[float]
    seconds: float

    def milliseconds(self, part: float) -> float:
        """Return the time that this part of the turns was not longer than."""
        last = len(self.microseconds) - 1
        return self.microseconds[min(last, int(part * len(self.microseconds)))] / 1_000

    @property
    def is_kept(self) -> bool:
        """Whether the limit is kept."""
        return self.milliseconds(0.99) <= MOST_P99_MS

    def line(self) -> str:
        """Return it for people."""
        busy = sum(self.microseconds) / 1e4 / self.seconds
        p50, p99, longest = (self.milliseconds(part) for part in (0.5, 0.99, 1.0))
        verdict = "" if self.is_kept else "   NOT KEPT"
        return f"{self.attack:<26}{busy:>5.1f} % of a core, a turn{p50:>6.2f} ms, p99{p99:>6.2f} ms, longest{longest:>6.2f} ms{verdict}"


def measured(kind: str, address: str, path: Path, key: str, *, seconds: float) -> Turns:
    """Attack for so long, and return the turns."""
    path.write_text("", encoding="utf-8")
    command = [sys.executable, "-m", "loadtests.attacks", kind, address, str(path.parent / "bentoml" / "keys.json"), str(path.parent)]
    began = time.monotonic()
    with subprocess.Popen(
        command, cwd=ROOT, env=dict(os.environ) | {"API_KEY": key}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        time.sleep(seconds)
        process.communicate(timeout=30)
    time.sleep(0.3)
    lines = path.read_text(encoding="utf-8").splitlines()
    return Turns(kind, sorted(each for line in lines for each in json.loads(line)), time.monotonic() - began)


def main() -> int:
    """Measure, print a line for each attack, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="of the attacks; by default all")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each attack")
    options = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory(prefix="passerelle-") as name:
        home = write_store(Path(name) / "bentoml")
        key = make_key(home / "keys.json", "honest").token
        path = Path(os.environ.setdefault("METER_FILE", str(Path(name) / "turns")))
        with serve(home, auth="required", access_log="false", module="loadtests.attacks.metered") as service:
            for kind in (each for each in KINDS if not options.words or any(word in each for word in options.words)):
                found.append(measured(kind, service.address, path, key, seconds=options.seconds))
                print(found[-1].line(), flush=True)
    return 0 if all(each.is_kept for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
