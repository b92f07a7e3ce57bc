"""What an honest client notices of a bad one: its p99 beside each attack, next to its p99 with nobody else, and what failed.

    python -m loadtests.bad_clients                      every attack, under three minutes; ends with 1 where a limit is not kept
    python -m loadtests.bad_clients "batches" --rounds 9
    python -m loadtests.bad_clients --cores 0            the service takes turns with its clients

The service is of one worker and asks for keys. Rounds with and without the attack are taken in turn, and the median of the ratios of
neighbours counts. Where there are two cores or more, the service has the first to itself; the attack's client shares the others with the
honest one, and gives way to it. The row of an honest client more says what anybody's requests at the pace of an attack do to the honest
client: it has no limit. What the service itself makes others wait, without any client's share, `python -m loadtests.attack_turns` measures.
"""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from loadtests.attacks.kinds import HONEST, KINDS, TEXT
from loadtests.bench.load import Round, run_wrk
from loadtests.bench.servers import Server
from loadtests.machine import describe_machine
from passerelle.api_keys import make_key
from tests.service_fixtures import ServedModel, serve, write_store

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "loadtests" / "results"
#: How many times the quiet p99 an honest client may wait beside each attack; beside batches, which are no attack, a little more.
MOST_TIMES, MOST_TIMES_BESIDE_BATCHES = 2.0, 3.0
_BATCHES = "batches of 1,000 records"


@dataclass(frozen=True)
class Beside:
    """What the honest client saw of one attack.

    Attributes:
        quiet_ms, beside_ms: p99 of each round.
        failed: Requests of the honest client that were not answered with 200.
    """

    attack: str
    quiet_ms: Sequence[float]
    beside_ms: Sequence[float]
    requests_per_s: float
    failed: float

    @property
    def times(self) -> float:
        """The median of the ratios of neighbouring rounds."""
        return statistics.median(beside / quiet for quiet, beside in zip(self.quiet_ms, self.beside_ms, strict=True))

    @property
    def is_kept(self) -> bool:
        """Whether the limit of this attack is kept."""
        return self.attack == HONEST or (
            self.failed == 0 and self.times <= (MOST_TIMES_BESIDE_BATCHES if self.attack == _BATCHES else MOST_TIMES)
        )

    def line(self) -> str:
        """Return it for people."""
        quiet, beside = (statistics.median(each) for each in (self.quiet_ms, self.beside_ms))
        verdict = "" if self.is_kept else "   NOT KEPT"
        return f"{self.attack:<26}{quiet:>8.2f} ms{beside:>9.2f} ms{self.times:>8.2f} x{self.failed:>9.0f} failed{verdict}"


@contextmanager
def attacked(kind: str, service: ServedModel, keys_file: Path, folder: Path, key: str) -> Iterator[None]:
    """Attack as long as the body runs, from a process that gives way to the honest client."""
    command = [sys.executable, "-m", "loadtests.attacks", kind, service.address, str(keys_file), str(folder)]
    environment = dict(os.environ) | {"API_KEY": key}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe, as asked for
        assert process.stdin is not None  # noqa: S101
        os.sched_setscheduler(process.pid, os.SCHED_IDLE, os.sched_param(0))
        process.stdout.readline()
        try:
            yield
            if process.poll() is not None:
                raise RuntimeError(f"the attack « {kind} » ended by itself")
        finally:
            process.stdin.close()
            process.wait(30)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Yield the folder, on a file system of 4 MiB where one may be mounted."""
    folder.mkdir()
    mount = shutil.which("mount")
    mounted = mount and subprocess.run([mount, "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=False, capture_output=True)
    try:
        yield folder
    finally:
        if mounted and mounted.returncode == 0:
            subprocess.run([str(shutil.which("umount")), "--lazy", str(folder)], check=False)


def measured(kind: str, service: ServedModel, server: Server, bodies: Path, folder: Path, *, rounds: int, seconds: float) -> Beside:
    """Return what the honest client saw, in turn without the attack and with it."""
    quiet: list[Round] = []
    beside: list[Round] = []
    for _ in range(rounds):
        quiet.append(run_wrk(server, bodies, connections=1, seconds=seconds))
        with attacked(kind, service, service.bentoml_home / "keys.json", folder, server.api_key):
            time.sleep(0.3)
            beside.append(run_wrk(server, bodies, connections=1, seconds=seconds))
    failed = sum(each.errors for each in (*quiet, *beside))
    rate = statistics.median(each.requests_per_s for each in beside)
    return Beside(kind, [each.p99_ms for each in quiet], [each.p99_ms for each in beside], rate, failed)


def pin(pid: int, cores: Sequence[int]) -> None:
    """Let a process and its descendants run on these cores alone."""
    for each in (leader := psutil.Process(pid), *leader.children(recursive=True)):
        for thread in each.threads():
            os.sched_setaffinity(thread.id, cores)


def run(kinds: Sequence[str], *, rounds: int, seconds: float, apart: bool) -> list[Beside]:
    """Measure each of these attacks on one service, and print a line each."""
    found = []
    with tempfile.TemporaryDirectory(prefix="passerelle-") as name, small_disk(Path(name) / "small") as small:
        folder = Path(name)
        home = write_store(folder / "bentoml")
        key = make_key(home / "keys.json", "honest").token
        bodies = folder / "bodies.jsonl"
        bodies.write_text("\n".join(json.dumps({"text": f"{n} {TEXT}"}, ensure_ascii=False) for n in range(500)), encoding="utf-8")
        os.environ["TMPDIR"] = str(small)
        with serve(home, auth="required", access_log="false") as service:
            if apart:
                pin(service.child.pid, [0])
                os.sched_setaffinity(0, sorted(os.sched_getaffinity(0) - {0}))
            server = Server("passerelle", service.address, service.child, api_key=key)
            run_wrk(server, bodies, connections=1, seconds=1)
            for kind in kinds:
                found.append(measured(kind, service, server, bodies, small, rounds=rounds, seconds=seconds))
                print(found[-1].line(), flush=True)
    return found


def main() -> None:
    """Measure, write the results, and end with 1 where a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="of the attacks; by default all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a round")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="under 2, the service has none to itself")
    parser.add_argument("--results", type=Path, default=None, help="folder of the results; by default they are printed alone")
    options = parser.parse_args()
    kinds = [kind for kind in KINDS if not options.words or any(word in kind for word in options.words)]
    found = run(kinds, rounds=options.rounds, seconds=options.seconds, apart=options.cores > 1)
    if options.results is not None:
        now = datetime.now(UTC)
        rows = [{**asdict(each), "times": each.times, "kept": each.is_kept} for each in found]
        path = options.results / f"bad-clients-{now:%Y-%m-%dT%H%M%SZ}.json"
        content = {"date": now.isoformat(timespec="seconds"), "machine": describe_machine("bentoml", "uvicorn"), "attacks": rows}
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    sys.exit(0 if all(each.is_kept for each in found) else 1)


if __name__ == "__main__":
    main()
