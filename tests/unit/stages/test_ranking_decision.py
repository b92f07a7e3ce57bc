"""What ranked the best candidate before the second: the primary metric, a tie-break, or the name."""

from __future__ import annotations

import pytest

from passerelle.criteria import Ranking
from passerelle.registry.client import CandidateRun
from passerelle.stages.compare import RankingDecision, ranking_decision

RANKING = Ranking(primary="cv_macro_f1", tie_within=0.01, tie_breaks=("size_bytes", "cv_log_loss"))


def run(name: str, macro_f1: float, size: float = 1.0, log_loss: float | None = 0.5) -> CandidateRun:
    metrics = {"cv_macro_f1": macro_f1, "size_bytes": size}
    return CandidateRun(name, name, metrics | ({} if log_loss is None else {"cv_log_loss": log_loss}), {}, "FINISHED")


@pytest.mark.parametrize(
    ("runs", "decision"),
    [
        ([run("a", 0.8), run("b", 0.7)], RankingDecision("cv_macro_f1", 0.8, 0.7)),
        ([run("a", 0.795, size=1), run("b", 0.8, size=2)], RankingDecision("size_bytes", 1, 2, 0.01)),
        ([run("a", 0.8, log_loss=0.4), run("b", 0.8)], RankingDecision("cv_log_loss", 0.4, 0.5, 0.01)),
        ([run("a", 0.8), run("b", 0.8, log_loss=None)], RankingDecision("cv_log_loss", 0.5, None, 0.01)),
        ([run("a", 0.8), run("b", 0.8)], RankingDecision("name", None, None, 0.01)),
        # The second is no equal of the best by the primary metric, though it is within the margin of the winner.
        ([run("a", 0.792, size=1), run("b", 0.785), run("c", 0.8, size=2)], RankingDecision("cv_macro_f1", 0.792, 0.785)),
        ([run("a", 0.8)], None),
        ([], None),
    ],
)
def test_what_decided(runs: list[CandidateRun], decision: RankingDecision | None) -> None:
    assert ranking_decision(runs, RANKING) == decision
