"""What to promote: known, and refused where it makes no sense, without importing what promotes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from passerelle.errors import UsageError, shell_word
from passerelle.stages.acceptance import Acceptance, check_acceptances
from passerelle.stages.held_out_file import check_held_out


@dataclass(frozen=True)
class PromoteOptions:
    """What to promote, and how.

    Attributes:
        version: None for the newest one, or for the best candidate.
        best: Promote the best candidate of the latest training, registered first if it is not yet.
        force: Promote although the gate refuses; needs a reason.
        waive: Checks of the gate to waive, as far as the criteria allow; needs a reason.
        accept: What is accepted by name although it speaks against the version; needs a reason.
        reason: Written in the ledger.
        held_out: File of labelled rows to judge by, or `dataset:NAME` of the run that logged the model.
        labels: Columns of the right answer in it.
        report: File that gets the gate's page too.
        language: Of the gate's page; by default that of the settings.
    """

    version: int | None = None
    best: bool = False
    force: bool = False
    waive: tuple[str, ...] = ()
    accept: tuple[Acceptance, ...] = ()
    reason: str | None = None
    report: Path | None = None
    language: Literal["fr", "en"] | None = None
    held_out: str | None = None
    labels: tuple[str, ...] = ()

    def check(self) -> None:
        """Check that one version is named, and a reason where one is needed.

        Raises:
            DataError: The file of labelled rows cannot be read.
            UsageError: `best` and a version are given, the report's folder does not exist, a promotion is forced or a check waived without
                a reason, or rows and their label are not given together.
        """
        if bool(self.held_out) != bool(self.labels):
            message = "--held-out names labelled rows, and --label the column of the right answer: one needs the other"
            raise UsageError(message, hint="passerelle promote --held-out FILE --label COLUMN")
        check_held_out(self.held_out, hint="passerelle promote --held-out FILE --label COLUMN")
        if self.report is not None and not self.report.absolute().parent.is_dir():
            raise UsageError(f"the folder of {self.report} does not exist", hint=f"mkdir -p {shell_word(self.report.parent)}")
        if self.best and self.version is not None:
            raise UsageError("--best and --version name two versions", hint="passerelle promote --best\npasserelle promote --version N")
        # Without the version that was named, the command that the error names would promote the newest.
        named = f" --version {self.version}" if self.version is not None else " --best" if self.best else ""
        check_acceptances(self.accept, self.reason, retry=f"passerelle promote{named}")
        if self.reason and self.reason.strip():
            return
        if self.force:
            raise UsageError("a forced promotion needs a reason", hint=f"passerelle promote --force --reason REASON{named}")
        if self.waive:
            raise UsageError("a check is waived with a reason", hint=f"passerelle promote --waive {self.waive[0]} --reason REASON{named}")
