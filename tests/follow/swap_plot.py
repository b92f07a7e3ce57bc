"""Draw the traffic through some swaps."""

from __future__ import annotations

from pathlib import Path

from tests.follow.load import Asked, Traffic

PLOT = Path(__file__).resolve().parents[2] / "docs" / "following-swaps.png"


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
