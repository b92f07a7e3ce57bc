"""A candidate beside the version in production, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerelle.cli import show
from passerelle.cli.output import Output
from passerelle.cli.terminal import Tone

if TYPE_CHECKING:
    from passerelle.monitoring.live_comparison import Interval
    from passerelle.stages.live_services import LiveReport
    from passerelle.stages.rollout import CandidateRollout

_NAMES = {
    "live_requests": "requests",
    "live_errors": "errors",
    "live_latency": "mean time",
    "live_review": "to review",
    "live_agreement": "same label",
}


def candidate(output: Output, result: CandidateRollout) -> None:
    """Show the candidate, how it compares, and what changed."""
    if result.promotion is not None and not output.as_json:
        show.promotion(output, result.promotion)
    show.gate(output, result.findings, result.report)
    for step in result.steps:
        output.line(f"{'would do' if result.dry_run else 'done'}: {step}")
    output.line(_stands(result))
    if result.live is not None:
        _compared(output, result.live)
    output.result(result)


def _stands(result: CandidateRollout) -> str:
    if result.version is None or result.terms is None:
        ended = result.entry.ended if result.entry else None
        return f"'{result.registered_model}' has no candidate" + (f": {ended}" if ended else "")
    number = f" (entry {result.entry.number})" if result.entry else ""
    does = "scores beside" if result.terms.mode == "shadow" else "answers"
    share = f"{result.terms.weight} % of the requests{number}"
    return f"version {result.version} {does} {share}; clients keep their version by {result.terms.key_header}"


def _compared(output: Output, live: LiveReport) -> None:
    from passerelle.stages.rollout import live_rows  # noqa: PLC0415 - `--help` answers without what a stage imports

    for where in live.silent:
        output.line(f"the service {where} does not give its metrics")
    for where in live.without:
        output.line(f"the service {where} follows no candidate")
        output.next_commands("export PASSERELLE_FOLLOW_CANDIDATE=on; passerelle deploy")
    if live.comparison is None:
        return
    if live.services:
        output.line(f"compared by {', '.join(live.services)}")
    output.table(("live", "production", "candidate"), [(_NAMES[name], *values) for name, values in live_rows(live.comparison).items()])
    labels = sorted({*live.comparison.production.labels, *live.comparison.candidate.labels})
    both = (live.comparison.production.labels, live.comparison.candidate.labels)
    output.table(("label", "production", "candidate"), [(label, *(_share(each.get(label)) for each in both)) for label in labels])
    if live.comparison.dropped:
        output.line(f"{live.comparison.dropped} records were not scored by the shadow: its queue was full")
    for sentence in live.broken:
        output.line(f"breaks a limit: {sentence}", Tone.BAD)
    if live.backed_out:
        output.line(f"backed out: {live.backed_out}", Tone.BAD)


def _share(found: Interval | None) -> str:
    return "—" if found is None else f"{found.count:,}: {found.value or 0:.1%} [{found.low:.1%}, {found.high:.1%}]"
