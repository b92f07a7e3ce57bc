"""Measure what following costs, with models as large as the demo's, and draw twenty swaps; writes docs/following-swaps.png.

python -m tests.follow.figures                    all, about a quarter of an hour, with one table at the end
python -m tests.follow.figures first cost         some: first, plot, cost, memory, second, shadow
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGUSR1, SIGUSR2, Signals

import numpy as np
import psutil

from passerelle.registry.webhooks import keep_webhooks
from tests.follow import proxy
from tests.follow.followed import WEBHOOK_SECRET, Followed, Replica, followed, replica, until
from tests.follow.load import Asked, Load, Traffic
from tests.follow.swap_plot import plot


@dataclass(frozen=True)
class Spent:
    """Requests that were answered, and the processor time that the service took."""

    requests: int
    cpu_s: float


#: MLflow remembers its list of webhooks for a minute.
_WEBHOOKS_KNOWN_AFTER_S = 65.0


def _rss_mib(service: Followed) -> list[float]:
    """Return the memory of each worker, in MiB."""
    return [each.memory_info().rss / 2**20 for each in service.replica.workers()]


def first_answers(service: Followed, times: int = 20) -> list[float]:
    """Return the seconds from the move of the alias, once MLflow answered, to the first answer of the version, which is downloaded anew."""
    took = []
    for number in range(1, times + 1):
        # A worker that is late may still answer with the version before.
        ref = service.others[number % len(service.others)]
        service.forget(ref)
        mark = service.load.mark()
        with service.versions.alias_moves() as moved:
            service.promote(ref)
        service.until_in_step()
        first = _first_of(service, mark, str(ref.version))
        took.append(first.sent + first.seconds - moved[-1])
    return took


def _first_of(service: Followed, mark: int, version: str) -> Asked:
    """Return the first answer of a version, which may still be on its way: another client was answered before."""

    def answers() -> list[Asked]:
        return [each for each in service.load.since(mark).asked if each.version == version]

    until(lambda: bool(answers()), f"an answer of version {version}", lambda: service.load.since(mark).versions)
    return answers()[0]


def swaps(service: Followed, times: int) -> tuple[Traffic, list[float]]:
    """Return the traffic during so many swaps, and when each was asked for."""
    mark, began = service.load.mark(), []
    for _ in range(times):
        began.append(time.monotonic())
        service.promote(service.other())
        service.until_in_step()
    return service.load.since(mark), began


def quiet(service: Followed, seconds: float) -> Traffic:
    """Return the traffic of a while in which nothing moves."""
    mark = service.load.mark()
    time.sleep(seconds)
    return service.load.since(mark)


def near(traffic: Traffic, moments: Sequence[float], within_s: float = 0.5) -> Traffic:
    """Return the requests that were sent shortly before or after one of these moments."""
    return Traffic([each for each in traffic.asked if any(abs(each.sent - moment) < within_s for moment in moments)])


def first_seen(traffic: Traffic) -> list[float]:
    """Return when the first answer of each new version was asked for: about when the swap was."""
    moments, last = [], traffic.asked[0].version
    for each in sorted(traffic.asked, key=lambda each: each.sent):
        if each.version not in (last, "-"):
            moments.append(each.sent)
            last = each.version
    return moments


def memory(service: Followed, times: int) -> dict[str, list[float]]:
    """Return the memory of the workers before and after so many swaps, each of which loads a version; the alias is moved by hand."""
    found = {"before": _rss_mib(service)}
    for number in range(1, times + 1):
        service.wanted = service.other()
        service.versions.by_hand(service.wanted)
        service.until_in_step()
        if number in (1, 2, 10, times) or number % 50 == 0:
            found[f"after {number}"] = _rss_mib(service)
            _say(f"{number} {found[f'after {number}']}")
    return found


def cost(service: Followed, pairs: int = 240, seconds: float = 0.25) -> list[tuple[Spent, Spent]]:
    """Return what was answered while a service follows and while its following is parked, in as many short turns of each.

    Two services differ by more than following costs, so it is one and the same. MLflow's own work is no cost of the service's, so the proxy
    answers in its place. Following takes half of the time, so that a poll each 4 s is one each 2 s of it.
    """
    # What it asks would cost the one that follows, and be counted for neither.
    service.load.stop()
    service.proxy.fault = proxy.Remembered()
    slowly, found = {**service.options, "follow_interval_s": "4.0"}, []
    with replica(service.folder / "parkable", service.store, slowly, module="tests.follow.parkable") as measured:
        load = Load(service.versions.answers_file, service.folder / "cost.txt", [measured.service.address], pause_s=0)
        try:
            time.sleep(2)
            for number in range(pairs):
                order = (SIGUSR2, SIGUSR1) if number % 2 else (SIGUSR1, SIGUSR2)
                turns = {signal: _turn(load, measured, signal, seconds) for signal in order}
                found.append((turns[SIGUSR2], turns[SIGUSR1]))
        finally:
            load.stop()
    return found


def _turn(load: Load, measured: Replica, signal: Signals, seconds: float) -> Spent:
    """Park the following or let it go on, and return what was answered from then on."""
    pid = measured.service.child.pid
    mark, before = load.mark(), _cpu_s(pid)
    for worker in measured.workers():
        worker.send_signal(signal)
    time.sleep(seconds)
    spent = _cpu_s(pid) - before
    return Spent(len(load.since(mark).asked), spent)


def ratio_of_rates(turns: Sequence[tuple[Spent, Spent]]) -> tuple[float, float, float]:
    """Return requests per processor second with following to those without, and the interval of 95 % by drawing the pairs anew."""
    table = np.array([(on.requests, on.cpu_s, off.requests, off.cpu_s) for on, off in turns])
    drawn = np.random.default_rng(0).integers(len(table), size=(2_000, len(table)))
    sums = np.vstack([table.sum(axis=0), table[drawn].sum(axis=1)])
    ratios = (sums[:, 0] / sums[:, 1]) / (sums[:, 2] / sums[:, 3])
    low, high = np.quantile(ratios[1:], (0.025, 0.975))
    return float(ratios[0]), float(low), float(high)


def _cpu_s(pid: int) -> float:
    """Return the processor time of the threads of a service and its workers so far, to the nanosecond."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    files = (path for each in processes for path in Path(f"/proc/{each.pid}/task").glob("*/schedstat"))
    return sum(int(path.read_text(encoding="ascii").split()[0]) for path in files) / 1e9


class Figures:
    """The lines of the table, as they come."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str]] = []

    def add(self, name: str, value: str, goal: str) -> None:
        """Add a figure and its goal."""
        self.lines.append((name, value, goal))
        _say(f"{name}: {value} (goal {goal})")

    def table(self) -> str:
        """Return all of them, in Markdown."""
        return "\n".join(f"| {' | '.join(line)} |" for line in [("figure", "measured", "goal"), ("---",) * 3, *self.lines])


def _shown(values: Sequence[float], unit: str) -> str:
    ordered = sorted(values)
    return f"median {statistics.median(ordered):.3f} {unit}, from {ordered[0]:.3f} to {ordered[-1]:.3f}, n={len(ordered)}"


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


@contextmanager
def _of_demo(interval_s: float = 2.0, *, webhook: bool = False, **options: str) -> Iterator[Followed]:
    """Yield a service that follows models as large as the demo's."""
    with (
        tempfile.TemporaryDirectory(prefix="passerelle-") as folder,
        followed(Path(folder), interval_s=interval_s, turns=3, of_demo=True, webhook=webhook, **options) as service,
    ):
        service.hurries = False
        yield service


def _first(figures: Figures) -> None:
    with _of_demo() as service:
        figures.add("alias moved to first answer, poll of 2 s", _shown(first_answers(service), "s"), "<= 4 s")
    # The poll would come much later.
    with _of_demo(60.0, webhook=True) as service:
        keep_webhooks(service.versions.registry, "figures", [f"{service.replica.service.address}/follow/webhook"], WEBHOOK_SECRET)
        time.sleep(_WEBHOOKS_KNOWN_AFTER_S)
        figures.add("alias moved to first answer, webhook", _shown(first_answers(service), "s"), "<= 1 s")


def _plot(figures: Figures) -> None:
    with _of_demo(follow_candidate="off") as service:
        still = quiet(service, 30)
        service.hurries = True
        traffic, _ = swaps(service, 20)
        around = near(traffic, first_seen(traffic))
        plot(traffic)
        value = f"{around.p99_ms / still.p99_ms:.2f} times ({around.p99_ms:.1f} to {still.p99_ms:.1f} ms)"
        figures.add("p99 within 0.5 s of a swap to the quiet p99", value, "<= 2 times")
        figures.add(
            "requests through twenty swaps", f"{len(traffic.asked):,}, {traffic.failed} failed, {traffic.wrong} wrong", "0 failed, 0 wrong"
        )


def _cost(figures: Figures) -> None:
    with _of_demo(follow_candidate="off") as service:
        turns = cost(service)
        ratio, low, high = ratio_of_rates(turns)
        value = f"{1 - ratio:.2%} of requests a processor second, 95 %: {1 - high:.2%} to {1 - low:.2%}, {len(turns)} pairs"
        figures.add("cost of following", value, "<= 1 %")


def _memory(figures: Figures) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="passerelle-") as folder,
        followed(Path(folder), follow_ledger="off", follow_keep_s="0", follow_candidate="off") as service,
    ):
        found = memory(service, int(os.environ.get("FOLLOW_SWAPS", "300")))
        last = list(found.values())[-1]
        grown = [after - before for after, before in zip(last, found.get("after 10", last), strict=True)]
        value = (
            f"{', '.join(f'{each:+.1f}' for each in grown)} MiB after the tenth of {list(found)[-1].removeprefix('after ')}, each worker"
        )
        figures.add("memory through swaps", value, "+-5 MiB")


def _second(figures: Figures) -> None:
    """Measure what a second model takes beside the first, which stays loaded."""
    with _of_demo(follow_candidate="off", follow_keep_s="600", follow_ledger="off") as service:
        service.hurries = True
        quiet(service, 3)
        before = _rss_mib(service)
        service.wanted = service.other()
        service.versions.by_hand(service.wanted)
        service.until_in_step()
        quiet(service, 3)
        more = [after - each for after, each in zip(_rss_mib(service), before, strict=True)]
        figures.add("a second model beside the first", f"{', '.join(f'{each:+.1f}' for each in more)} MiB, each worker", "<= 10 MiB")


def _shadow(figures: Figures) -> None:
    from tests.follow.shadow_cost import pairs

    with _of_demo(follow_keep_s="600") as service:
        service.load.stop()
        found = pairs(service, 8, 3.0, 4, 0.02)
        ratios = [with_shadow.traffic.p99_ms / without.traffic.p99_ms for with_shadow, without in found]
        figures.add("p99 with a shadow to that without", _shown(ratios, "times"), "no delay")


_PARTS = {"first": _first, "plot": _plot, "cost": _cost, "memory": _memory, "second": _second, "shadow": _shadow}


def main(*wanted: str) -> None:
    """Measure what is wanted, by default all, and print the table."""
    figures = Figures()
    _say(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}")
    for name in wanted or _PARTS:
        _PARTS[name](figures)
    _say(f"\n{figures.table()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
