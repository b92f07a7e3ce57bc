"""Measure what following costs, and draw twenty swaps: `python -m tests.follow.figures`; writes docs/following-swaps.png."""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import SIGUSR1, SIGUSR2, Signals

import numpy as np
import psutil

from passerelle.registry.webhooks import keep_webhooks
from tests.follow import proxy
from tests.follow.followed import WEBHOOK_SECRET, Followed, Replica, followed, replica, until
from tests.follow.load import Asked, Load, Traffic


@dataclass(frozen=True)
class Spent:
    """Requests that were answered, and the processor time that the service took."""

    requests: int
    cpu_s: float


#: MLflow remembers its list of webhooks for a minute.
_WEBHOOKS_KNOWN_AFTER_S = 65.0
PLOT = Path(__file__).resolve().parents[2] / "docs" / "following-swaps.png"


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


def cost(service: Followed, pairs: int = 800, seconds: float = 0.25) -> list[tuple[Spent, Spent]]:
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


def plot(traffic: Traffic, target: Path = PLOT) -> None:
    """Draw requests per second, p99 and version over time."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    asked = sorted(traffic.asked, key=lambda each: each.sent)
    began = asked[0].sent
    seconds: dict[int, list[Asked]] = {}
    for each in asked:
        seconds.setdefault(int(each.sent - began), []).append(each)
    whole = sorted(seconds)[:-1]
    figure, (rate, slowest, version) = pyplot.subplots(3, 1, sharex=True, figsize=(9, 6), constrained_layout=True)
    rate.step(whole, [len(seconds[each]) for each in whole], where="post")
    rate.set_ylabel("requests per second")
    rate.set_ylim(bottom=0)
    slowest.step(whole, [Traffic(seconds[each]).p99_ms if len(seconds[each]) > 1 else 0 for each in whole], where="post", color="tab:red")
    slowest.set_ylabel("p99, ms")
    slowest.set_yscale("log")
    answered = [each for each in asked if each.version != "-"]
    version.scatter([each.sent - began for each in answered], [int(each.version) for each in answered], s=1, color="tab:green")
    version.set_ylabel("version that answered")
    version.set_yticks(sorted({int(each.version) for each in answered}))
    version.set_xlabel(f"seconds; {len(asked):,} requests, {traffic.failed} failed, {traffic.wrong} wrong answers")
    figure.suptitle("Twenty swaps under traffic")
    figure.savefig(target, dpi=90)


def _shown(name: str, values: Sequence[float], unit: str) -> str:
    ordered = sorted(values)
    return f"{name}: median {statistics.median(ordered):.3f} {unit}, from {ordered[0]:.3f} to {ordered[-1]:.3f}, n={len(ordered)}"


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def _first() -> None:
    """Measure how long it takes from the move of the alias to the first answer, with models as large as the demo's."""
    with tempfile.TemporaryDirectory(prefix="passerelle-") as folder, followed(Path(folder), interval_s=2.0, of_demo=True) as service:
        service.hurries = False
        _say(_shown("alias moved to first answer, poll of 2 s", first_answers(service), "s"))
    # The poll would come much later.
    with (
        tempfile.TemporaryDirectory(prefix="passerelle-") as folder,
        followed(Path(folder), interval_s=60.0, of_demo=True, webhook=True) as service,
    ):
        service.hurries = False
        keep_webhooks(service.versions.registry, "figures", [f"{service.replica.service.address}/follow/webhook"], WEBHOOK_SECRET)
        time.sleep(_WEBHOOKS_KNOWN_AFTER_S)
        _say(_shown("alias moved to first answer, webhook", first_answers(service), "s"))


def _while_polling(*wanted: str) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="passerelle-") as folder,
        followed(Path(folder), interval_s=2.0, follow_candidate="off") as service,
    ):
        service.hurries = False
        if "plot" in wanted:
            still = quiet(service, 30)
            service.hurries = True
            traffic, _ = swaps(service, 20)
            around = near(traffic, first_seen(traffic))
            plot(traffic)
            _say(f"p99 quiet {still.p99_ms:.1f} ms, within 0.5 s of a swap {around.p99_ms:.1f} ms, in all {traffic.p99_ms:.1f} ms")
            _say(f"{len(traffic.asked)} requests, {traffic.failed} failed, {traffic.wrong} wrong")
        if "cost" in wanted:
            turns = cost(service)
            text = "requests per processor second, following on / off: {:.4f}, interval of 95 % from {:.4f} to {:.4f}, {} pairs"
            _say(text.format(*ratio_of_rates(turns), len(turns)))


def main(*wanted: str) -> None:
    """Measure what is wanted, by default all: first, plot, cost, memory."""
    wanted = wanted or ("first", "plot", "cost", "memory")
    _say(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}")
    if "first" in wanted:
        _first()
    if not {"plot", "cost"}.isdisjoint(wanted):
        _while_polling(*wanted)
    if "memory" in wanted:
        with (
            tempfile.TemporaryDirectory(prefix="passerelle-") as folder,
            followed(Path(folder), follow_ledger="off", follow_keep_s="0", follow_candidate="off") as service,
        ):
            _say(json.dumps(memory(service, int(os.environ.get("FOLLOW_SWAPS", "300")))))


if __name__ == "__main__":
    main(*sys.argv[1:])
