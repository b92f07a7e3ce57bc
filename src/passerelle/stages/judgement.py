"""What the gate says of a version that is to answer people: the verdict, the report beside the model, and what the ledger keeps."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

from passerelle.criteria import Criteria
from passerelle.errors import BusyError, CriteriaError, IntegrityError, NotFoundError, RefusedError
from passerelle.gate import report
from passerelle.gate.finding import Finding
from passerelle.gate.kept_rows import keep_rows
from passerelle.gate.labelled_rows import LabelledRows
from passerelle.gate.promote_hints import promote_command, with_report, with_rows
from passerelle.gate.report_text import Language
from passerelle.gate.table_differences import differences_of
from passerelle.gate.verdict import Verdict, judge
from passerelle.model.ledger_entry import Entry
from passerelle.names import ModelVersionRef
from passerelle.registry.client import Registry
from passerelle.registry.ledger import Ledger
from passerelle.registry.verified import VerifiedLedger
from passerelle.settings import SigningSettings
from passerelle.stages.acceptance import Acceptance, Reasons
from passerelle.stages.project_inputs import gate_inputs
from passerelle.stages.promote_environment import prepared
from passerelle.stages.promote_unknown import check_unknown
from passerelle.stages.version_description import describe_judged

REPORT = "gate/report.html"
_AFTER_THE_REPORT = "passerelle compare\ncat training/criteria.yaml"


@dataclass(frozen=True)
class PromotionRequest:
    """Who asks for a promotion, and under which conditions the gate judges it.

    Attributes:
        who: user@host or the CI job, for the ledger.
        force: Promote although the gate refuses; needs a reason.
        reason: Why it is forced, or why checks are waived.
        waive: Checks of the gate to waive, as far as the criteria allow.
        development: Whether this is a place where promotions may be forced.
        serving: Version of each library in the serving image, for the gate.
        language: Of the gate's report.
        signing: What the version's signature is verified with, where one is required.
        on_report: Gets the report's page, before anything is refused.
        report_file: Where the caller writes that page; None where nobody asked for it.
        since: The ledger as it was when the caller decided to promote; None where the caller did not look.
        live: What the version did as a candidate beside the one in production, for the report.
        given: Labelled rows to judge by, in place of those that a training held out or that were given before.
        project_criteria: Digest of the project's own criteria, which hold before the first promotion; None where that is not known.
        project: Root of the project, whose reference, behaviour suite and data the gate judges by.
        accept: What is accepted by name for the reason; see `Reasons`.
        taken: What was accepted so far.
        retry: Command that asks again where something is to be accepted; by default that of a promotion.
        progress: Called with a line for what takes time.
        puts_back: Whether it may put back what a rollback took out of production; a command asks for a reason.
    """

    who: str
    force: bool = False
    reason: str | None = None
    waive: Sequence[str] = ()
    development: bool = True
    serving: Mapping[str, str] | None = None
    language: Language = "fr"
    signing: SigningSettings | None = None
    on_report: Callable[[str], None] = lambda _: None
    report_file: Path | None = None
    since: VerifiedLedger | None = None
    live: report.LiveRows | None = None
    given: LabelledRows | None = None
    puts_back: bool = True
    project_criteria: str | None = None
    project: Path = Path()
    accept: Sequence[Acceptance] = ()
    taken: list[Acceptance] = field(default_factory=list, compare=False)
    retry: str | None = None
    progress: Callable[[str], None] = field(default=lambda _: None, compare=False)

    @property
    def reasons(self) -> Reasons:
        """What is accepted for the reason."""
        return Reasons(self.who, self.reason, tuple(self.accept), only_these=self.force or bool(self.waive), taken=self.taken)


@dataclass(frozen=True)
class Judgement:
    """What the gate says of a version.

    Attributes:
        verdict: None where there is nothing to judge by and the version is forced all the same.
        page: The report; empty without a verdict.
        report: Where it is, among the artifacts of the version's run; at a dry run, the file that was asked for.
        forced: Whether the version goes on although the gate refuses it.
    """

    criteria_digest: str
    verdict: Verdict | None
    page: str
    report: str | None
    forced: bool

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the gate found."""
        return self.verdict.findings if self.verdict else ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed about the rows, what is not known of the version, and what the verdict is worth, a sentence each."""
        if self.verdict is None:
            return ()
        rows = self.verdict.rows
        unjudged = () if self.verdict.judged else (f"{self.verdict.ref} is not judged: there were no labelled rows",)
        return (*unjudged, *(rows.given.notes if rows and rows.given else ()), *self.verdict.worth("en"))

    def record(self, entry: Entry) -> Entry:
        """Return the ledger's entry with what the gate says of its version."""
        return replace(
            entry,
            criteria_digest=self.criteria_digest,
            metrics=dict(self.verdict.evidence.challenger.figures) if self.verdict else {},
            forced=self.forced,
            waived=self.verdict.waived if self.verdict else {},
            report_digest=_digest(self.page) if self.page else None,
            judged=self.verdict.judged if self.verdict else True,
            held_out_digest=self.verdict.rows.digest if self.verdict and self.verdict.rows else None,
            look=self.verdict.look.proof if self.verdict and self.verdict.look else None,
        )


def judgement_of(
    registry: Registry,
    ref: ModelVersionRef,
    champion: int | None,
    criteria: Criteria,
    request: PromotionRequest,
    *,
    dry_run: bool = False,
    hint: str | None = None,
) -> Judgement:
    """Return what the gate says of the version, whose report is stored beside its model.

    Args:
        champion: The version in production.
        hint: What to do about a refusal; by default to read the report, or to compare where it was written just now.

    Raises:
        CriteriaError: The gate refuses the version, and the request does not force it.
        NotFoundError: There is nothing to judge by, and the request does not force the version.
        BusyError: Somebody else writes the object of these criteria.
    """
    verdict, unknown = _accepted(_judged(registry, ref, champion, criteria, request, dry_run=dry_run), criteria, request)
    differences = differences_of(registry, ref, champion) if verdict else None
    page = report.html(verdict, language=request.language, live=request.live, differences=differences) if verdict else ""
    markdown = report.markdown(verdict, language=request.language, live=request.live, differences=differences) if verdict else ""
    where = _store(registry, verdict, page, markdown, request, dry_run=dry_run) if verdict else None
    if verdict and request.report_file is not None:
        where = where or str(request.report_file)
    if verdict:
        _check_recorded(verdict, request)
    if verdict and verdict.failures and not request.force:
        raise _refusal(verdict, where, request.report_file, hint)
    if unknown is not None:
        raise unknown
    if not dry_run:
        _keep(registry, ref.registered_model, criteria)
    return Judgement(criteria.digest, verdict, page, where, forced=request.force and not (verdict and verdict.passed))


def _accepted(verdict: Verdict | None, criteria: Criteria, request: PromotionRequest) -> tuple[Verdict | None, RefusedError | None]:
    """Return the verdict with what is accepted, for the report, and the error about what is not."""
    if verdict is None or request.force:
        return verdict, None
    retry = request.retry or promote_command(verdict.ref)
    try:
        return check_unknown(verdict, criteria, request.reasons, development=request.development, retry=retry), None
    except RefusedError as error:
        return verdict, error


def _refusal(verdict: Verdict, where: str | None, report_file: Path | None, hint: str | None) -> CriteriaError:
    """Return the error that lists the failures; its hint asks for the report only where it was not written just now."""
    listed = "; ".join(finding.message for finding in verdict.failures)
    look = f"; this is look {verdict.look.number} at these rows" if verdict.look and verdict.look.number > 1 else ""
    see = _AFTER_THE_REPORT if report_file else with_report(verdict.ref)
    return CriteriaError(f"the gate refuses {verdict.ref}: {listed}{look}{f'; the report is {where}' if where else ''}", hint=hint or see)


def _digest(content: str) -> str:
    return "sha256:" + hashlib.sha256(content.encode()).hexdigest()


def _keep(registry: Registry, registered_model: str, criteria: Criteria) -> None:
    """Keep the criteria beside the ledger, whose entries name them by their digest: the file's own SHA-256."""
    key = f"{Ledger(registry.objects, registered_model).criteria_folder}{criteria.digest.removeprefix('sha256:')}.json"
    content = criteria.canonical.encode()
    # An object that does not hold what it is named after was put there by somebody.
    if not registry.objects.create(key, content) and not registry.objects.replace(
        key, content, entity_tag=registry.objects.entity_tag(key)
    ):
        raise BusyError(f"the object {key} is being written by somebody else", hint="passerelle promote")


def _judged(
    registry: Registry, ref: ModelVersionRef, production: int | None, criteria: Criteria, request: PromotionRequest, *, dry_run: bool
) -> Verdict | None:
    """Return the verdict; None where there is nothing to judge by and the promotion is forced all the same."""
    champion = registry.model_version(ref.registered_model, production).ref if production not in (None, ref.version) else None
    try:
        return judge(
            registry,
            ref=ref,
            champion=champion,
            criteria=criteria,
            serving=request.serving,
            waive=request.waive,
            who=request.who,
            reason=request.reason,
            given=request.given,
            inputs=gate_inputs(registry, ref, criteria, request.project),
            prepare=partial(prepared, registry, request.signing),
            dry_run=dry_run,
            signing=request.signing,
            progress=request.progress,
        )
    except NotFoundError:
        if request.force:
            return None
        raise


def _check_recorded(verdict: Verdict, request: PromotionRequest) -> None:
    """Check that rows which were given earlier are those that the ledger recorded then.

    Raises:
        IntegrityError: They are other ones.
    """
    rows = verdict.rows
    if rows is None or rows.run_id is None or request.since is None:
        return
    recorded = {entry.held_out_digest for entry in request.since.entries if entry.run_id == rows.run_id and entry.held_out_digest}
    if recorded and rows.kept_digest not in recorded:
        message = f"the labelled rows that the run {rows.run_id} keeps are not those that the ledger recorded"
        raise IntegrityError(message, hint=with_rows(verdict.ref))


def _store(registry: Registry, verdict: Verdict, page: str, markdown: str, request: PromotionRequest, *, dry_run: bool) -> str | None:
    """Write the report beside the challenger's model and return where it is, None at a dry run; those of earlier gate runs stay."""
    request.on_report(page)
    run_id, folder = verdict.ref.run_id, f"gate/{_digest(page).removeprefix('sha256:')[:12]}"
    if not dry_run:
        found = {
            "passed": verdict.passed,
            "judged": verdict.judged,
            "result": verdict.result,
            "criteria_digest": verdict.criteria_digest,
            "findings": [{**asdict(each), "result": each.result} for each in verdict.findings],
        }
        if verdict.look is not None:
            found["look"] = asdict(verdict.look)
        if verdict.rows is not None:
            found["held_out_digest"] = verdict.rows.digest
            if verdict.rows.given is not None and verdict.rows.run_id != run_id:
                keep_rows(registry, run_id, verdict.rows.given)
        for place in ("gate", folder):
            registry.write_text(run_id, f"{place}/report.html", page)
            registry.write_text(run_id, f"{place}/report.md", markdown)
            registry.write_json(run_id, f"{place}/verdict.json", found)
        describe_judged(registry, verdict, f"{folder}/report.html")
    return None if dry_run else f"runs:/{run_id}/{REPORT}"
