"""How each stage's result looks: a line or a small table for people, the whole of it as JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from passerelle.cli import show_drift
from passerelle.cli.loopback import for_shell
from passerelle.cli.output import Output, relative
from passerelle.cli.silence import silence_from_here
from passerelle.cli.terminal import Tone
from passerelle.count_of import count_of

if TYPE_CHECKING:
    from passerelle.bentos.build import BuiltBento
    from passerelle.gate.finding import Finding
    from passerelle.monitoring.figures import Figures
    from passerelle.registry.verified import History
    from passerelle.rollout.following import Following
    from passerelle.rollout.local import Deployment
    from passerelle.stages.compare import Comparison, RankingDecision
    from passerelle.stages.import_model import ImportedModel
    from passerelle.stages.place import Stopped
    from passerelle.stages.promotion import Promotion
    from passerelle.stages.register import Registered
    from passerelle.stages.status import Status
    from passerelle.stages.trace import Trace

_COMPARED = (
    ("cv_macro_f1", "macro-F1", ".3f"),
    ("cv_accuracy", "accuracy", ".3f"),
    ("cv_log_loss", "log loss", ".3f"),
    ("cv_calibration_error", "calibration error", ".3f"),
    ("latency_p95_ms", "p95 ms", ".2f"),
    ("size_bytes", "MB", ".1f"),
    ("test_macro_f1", "held-out macro-F1", ".3f"),
)
_MEGABYTE = 1_000_000


def comparison(output: Output, result: Comparison) -> None:
    """Show what decided, then every candidate, sorted, and what it fails."""
    if result.decision is not None:
        output.line(_decided(result.decision, result))
    decide = [result.primary, *result.tie_breaks]
    compared = sorted(_COMPARED, key=lambda each: decide.index(each[0]) if each[0] in decide else len(decide))
    rows = [
        [row.rank or "—", row.candidate, *(_figure(row.metrics.get(name), name, form) for name, _, form in compared)] for row in result.rows
    ]
    figures = [title for _, title, _ in compared]
    optional = [title for name, title, _ in reversed(compared) if name not in decide]
    output.table(["rank", "candidate", *figures], rows, right=["rank", *figures], optional=optional)
    for row in result.rows:
        if row.failures:
            output.line(f"{row.candidate} fails: {'; '.join(row.failures)}", Tone.BAD)
    if result.unproved:
        output.line(f"nothing proves the figures of {', '.join(result.unproved)}: their runs hold no digest of them", Tone.WARNING)
    output.line("these are the figures that the runs state; promote measures again on the held-out rows")
    if result.best is not None:
        output.line(f"best: {result.best.candidate} by {result.primary}, run {result.best.run_id}", Tone.GOOD)
    else:
        output.line("no candidate meets the criteria: it takes other data, other candidates or other criteria", Tone.BAD)
    output.result({**vars(result), "best": result.best})


def _figure(value: float | None, name: str, form: str) -> str:
    return "—" if value is None else format(value / _MEGABYTE if name == "size_bytes" else value, form)


def _decided(decision: RankingDecision, result: Comparison) -> str:
    titles = {name: (title, form) for name, title, form in _COMPARED}
    title, form = titles.get(decision.metric, (decision.metric, ""))
    primary = titles.get(result.primary, (result.primary, ""))[0]
    equal = "" if decision.tie_within is None else f"{primary} within {decision.tie_within:g}, which counts as equal; "
    if decision.metric == "name":
        return f"{equal}every tie-break is equal: decided by name"
    both = zip(result.rows[:2], (decision.best, decision.second), strict=True)
    return f"{equal}decided by {title}: " + ", ".join(f"{row.candidate} {_figure(value, decision.metric, form)}" for row, value in both)


def registered(output: Output, result: Registered) -> None:
    """Show which version the run is."""
    if result.dry_run and result.created:
        output.line(f"would register '{result.candidate}' as the next version of {result.registered_model}: {result.artifact_digest}")
    elif result.created:
        output.line(f"{result.ref}: '{result.candidate}', {result.artifact_digest}")
    else:
        output.line(f"already done: '{result.candidate}' is {result.ref}")
        for what in result.completed:
            output.line(f"  {'would complete' if result.dry_run else 'completed'}: {what}, an artifact of the run {result.run_id}")
    if result.compiled:
        output.line("  compiled: it is served without scikit-learn")
    elif result.not_compiled:
        output.line(f"  not compiled, so its pipeline answers: {result.not_compiled}")
    output.result(result)


def gate(output: Output, findings: Sequence[Finding], report: str | None) -> None:
    """Show how many checks of the gate a version passed, and which it did not; nothing where the gate was not asked."""
    if not findings:
        return
    bad = [finding for finding in findings if not finding.passed]
    ways = {"waived": "waived by {}", "unknown": "accepted by {}"}
    summary = f"gate: {len(findings) - len(bad)} of {len(findings)} checks passed"
    output.line(summary + (f"; report {report}" if report else ""), Tone.WARNING if bad else Tone.GOOD)
    for finding in bad:
        way = ways.get(finding.result, "forced").format(finding.waived) if finding.waived or not finding.unknown else ""
        output.line(f"  {finding.check}: {finding.message}" + (f"; {way}" if way else ""), Tone.WARNING if way else Tone.BAD)


def promotion(output: Output, result: Promotion) -> None:
    """Show what moved."""
    gate(output, result.findings, result.report)
    for note in result.notes:
        output.line(f"note: {note}", Tone.WARNING)
    if not result.changed:
        output.line(f"already done: {result.ref} is in production")
        for what in result.completed:
            output.line(f"  {'would complete' if result.dry_run else 'completed'}: {what}")
    elif result.dry_run:
        output.line(f"would put {result.ref} into production:")
        for step in result.steps:
            output.line(f"  {step}")
    else:
        before = f"; version {result.previous} is what `passerelle rollback` goes back to" if result.previous else ""
        output.line(f"{result.ref} is in production{before}", Tone.GOOD)
    output.result(result)


def imported(output: Output, result: ImportedModel) -> None:
    """Show which bento model holds the version."""
    if result.dry_run and result.created:
        output.line(f"would import {result.ref} as the bento model {result.bento_model_tag}")
    elif result.created:
        output.line(f"bento model {result.bento_model_tag}: each file checked, golden predictions reproduced")
    else:
        output.line(f"already done: {result.ref} is the bento model {result.bento_model_tag}")
    output.result(result)


def built(output: Output, result: BuiltBento) -> None:
    """Show which bento holds the model."""
    if result.dry_run and result.created:
        output.line(f"would build the bento {result.bento_tag}" + (" again: the code changed" if result.replaced else ""))
    elif result.created:
        again = ", built again since the code changed" if result.replaced else ""
        output.line(f"bento {result.bento_tag}{again}: {relative(result.path) if result.path else ''}")
    else:
        output.line(f"already done: the bento {result.bento_tag} holds this model and this code")
    output.result(result)


def deployment(output: Output, result: Deployment | Stopped) -> None:
    """Show where the service answers."""
    from passerelle.stages.place import Stopped  # noqa: PLC0415

    if isinstance(result, Stopped):
        output.line(f"the service at {result.address} is ended" if result.address else "no service runs here")
    elif result.dry_run and result.changed:
        output.line(f"would serve {result.bento_tag}" + (f" in place of {result.replaced}" if result.replaced else ""))
    elif not result.changed:
        output.line(f"already done: {result.bento_tag} answers on {result.address}")
    else:
        instead = f" in place of {result.replaced}" if result.replaced else ""
        output.line(f"{result.bento_tag} answers on {result.address}{instead}: ready in {result.ready_seconds:.1f} s")
    if not isinstance(result, Stopped) and result.smoke is not None:
        smoke = result.smoke
        if smoke.inputs:
            output.line(f"{smoke.inputs} golden predictions over HTTP: the same, within {smoke.largest_difference:.1g}")
        followed(output, result.following, smoke.model_version)
    if not isinstance(result, Stopped) and result.first_request is not None:
        output.line(f"  next: {for_shell(result.first_request)}")
    output.result(result)


def followed(output: Output, following: Following | None, version: str | None) -> None:
    """Show what a service follows, and whether MLflow's webhook lets it poll at once."""
    if following is not None:
        output.line(f"{following}" + (f"; it answers with version {version}" if version else ""))
        if following.next_command is not None:
            output.next_commands(following.next_command)


def figures(output: Output, result: Figures) -> None:
    """Show what the service answered."""
    output.line(f"{result.address}, version {result.model_version}")
    answered = ", ".join(f"{count} × {status}" for status, count in result.requests.items()) or "none yet"
    replays = f" (and {result.golden_replays} golden replays of deploy)" if result.golden_replays else ""
    output.line(f"requests: {answered}{replays}")
    if result.latency_p50_ms is not None and result.latency_p95_ms is not None:
        output.line(f"latency: half under {result.latency_p50_ms:.2f} ms, 95 % under {result.latency_p95_ms:.2f} ms")
    if result.predictions:
        records = sum(result.predictions.values())
        output.table(
            ("class", "records", "share"),
            [(label, count, f"{count / records:.0%}") for label, count in result.predictions.items()],
            right=("records", "share"),
        )
        output.line(f"for a person to look at: {result.review_share or 0:.0%}")
    show_drift.last(output, result.drift, day_is_over=result.day_is_over)
    output.result(result)


def statuses(output: Output, results: Sequence[Status]) -> None:
    """Show the state of each registered model: one object of one model, or a list of several."""
    for number, result in enumerate(results):
        if number:
            output.line("")
        status(output, result)
    output.result(results[0] if len(results) == 1 else {"models": list(results)})


def status(output: Output, result: Status) -> None:
    """Show what each place holds and what disagrees."""
    holdings = result.holdings
    origin = f" (adopted, golden inputs from {holdings.golden_origin})" if holdings.golden_origin else ""
    rows = [
        ("alias production", f"{holdings.alias}{origin}" if holdings.alias else "—"),
        ("alias previous", holdings.previous or "—"),
        ("stage Production", ", ".join(map(str, holdings.stage)) or "—"),
        ("ledger", "broken" if result.ledger_findings else holdings.ledger or "—"),
        ("bento model", holdings.bento_model or "—"),
        ("bento", holdings.bento or "—"),
        ("image", holdings.image or "—"),
        ("service", f"{holdings.service} on {holdings.service_address}" if holdings.service else "—"),
    ]
    output.table((holdings.registered_model, "version"), rows, tones={"broken": Tone.BAD})
    followed(output, result.following, None)
    for disagreement in result.disagreements:
        output.line(disagreement.what if result.ledger_findings else f"disagrees: {disagreement.what}", Tone.BAD)
        output.next_commands(disagreement.command)
    if not result.disagreements:
        output.line("nothing disagrees", Tone.GOOD)


def history(output: Output, result: History) -> None:
    """Show the ledger, and what its verification found."""
    rows = [
        (
            entry.number,
            entry.when[:19],
            entry.what + ("" if entry.judged else ", not judged"),
            entry.from_version or "—",
            entry.to_version or "—",
            entry.who,
            entry.reason or "",
        )
        for entry in result.entries
    ]
    output.table(("no.", "when (UTC)", "what", "from", "to", "who", "reason"), rows, right=("no.", "from", "to"))
    for finding in result.findings:
        output.line(f"entry {finding.number}: {finding.problem}", Tone.BAD)
    for wrong in (*filter(None, [result.damaged_head]), *result.differences, *result.looks, *result.removed):
        output.line(wrong, Tone.BAD)
    for note in result.notes:
        output.line(note)
    for key in result.foreign if result.verified else ():
        output.line(f"not of passerelle, and ignored: {key}", Tone.WARNING)
    if result.verified and not result.findings:
        output.line(f"verified: {count_of(len(result.entries), 'entry', 'entries')}, none changed, removed or inserted", Tone.GOOD)
        if result.entries:
            output.line(_signatures(result))
    output.result(result)


def _signatures(result: History) -> str:
    if result.signed_from is None:
        return "  none is signed: MLflow alone vouches for them"
    before = f"; its signature covers the {result.signed_from - 1} before it" if result.signed_from > 1 else ""
    return f"  signed since entry {result.signed_from}{before}"


def traced(output: Output, result: Trace) -> None:
    """Show the chain, and which of its links are missing."""
    output.table(("link", "which", ""), [(link.name, link.value or "missing", link.note) for link in result.links],
                 tones={"missing": Tone.BAD})  # fmt: skip
    if result.missing:
        output.line(f"missing: {', '.join(result.missing)}", Tone.BAD)
    for difference in result.differences:
        output.line(f"differs: {difference}", Tone.BAD)
    output.result({**vars(result), "missing": result.missing})


def served(output: Output, result: Deployment) -> None:
    """Show where the service of this terminal answers."""
    output.line(f"{result.bento_tag} answers on {result.address} (Ctrl-C ends it)")
    output.result(result)
    silence_from_here()
    sys.stdout.flush()


def environment(output: Output, variables: Mapping[str, str]) -> None:
    """Show the variables as lines for a shell."""
    from passerelle.platform.state import exports  # noqa: PLC0415

    output.result(variables)
    output.verbatim(exports(variables).rstrip())
