"""What to do about a candidate: known, and refused where it makes no sense, without importing what does it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from passerelle.errors import UsageError
from passerelle.model.ledger_entry import LARGEST_WEIGHT
from passerelle.stages.acceptance import Acceptance, check_acceptances
from passerelle.stages.held_out_file import check_held_out

#: Header by whose value a client's requests always get the same version, unless another one is named.
KEY_HEADER = "X-Rollout-Key"
_WEIGHT, _SHADOW_WEIGHT = 10, 100
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")


@dataclass(frozen=True)
class RolloutOptions:
    """What to do about a candidate.

    Attributes:
        candidate: Version that becomes the candidate, or whose weight changes.
        weight: Share of the requests, in percent; 10 by default, and 100 for a shadow.
        shadow: Whether it only scores beside the answers.
        key_header: Header by whose value a client's requests always get the same version.
        status: Compare both live.
        watch: With `status`, compare again and again until the candidate ends.
        promote: Promote the candidate, if it passes the gate.
        stop: Let no candidate take part.
        addresses: Of the services to compare by; by default the one that the settings name, or the one that `deploy` started.
        target: Whose replicas to compare by, which the engine or the cluster names; None for the addresses.
        overlay: Of deploy/kubernetes/overlays, for kubernetes; by default development.
        force: Begin a candidate that answers although the gate refuses it; needs a reason.
        waive: Checks of the gate to waive, as far as the criteria allow; needs a reason.
        accept: What is accepted by name although it speaks against a candidate that answers; needs a reason.
        reason: Written in the ledger.
        held_out: File of labelled rows to judge a candidate by that answers, or `dataset:NAME` of the run that logged the model.
        labels: Columns of the right answer in it.
    """

    candidate: int | None = None
    weight: int | None = None
    shadow: bool = False
    key_header: str | None = None
    status: bool = False
    watch: bool = False
    promote: bool = False
    stop: bool = False
    addresses: tuple[str, ...] = ()
    target: Literal["compose", "kubernetes"] | None = None
    overlay: str | None = None
    force: bool = False
    waive: tuple[str, ...] = ()
    accept: tuple[Acceptance, ...] = ()
    reason: str | None = None
    held_out: str | None = None
    labels: tuple[str, ...] = ()

    def check(self) -> None:
        """Check that one thing is to be done, and that the weight is one.

        Raises:
            UsageError: None or several are, the weight is no percentage or is of no candidate, the header cannot be one, or the gate is
                forced or a check waived without a reason, or where no gate decides.
        """
        actions = (self.candidate is not None, self.status, self.promote, self.stop)
        if self.candidate is None and (self.weight is not None or self.shadow or self.key_header is not None):
            message = "a weight, --shadow and --key-header belong to a candidate, and --candidate names none"
            raise UsageError(message, hint="passerelle rollout --candidate N --weight 10")
        if sum(actions) != 1:
            message = "one of --candidate, --status, --promote and --stop says what to do"
            raise UsageError(message, hint="passerelle rollout --candidate N --weight 10\npasserelle rollout --status")
        if self.watch and not self.status:
            raise UsageError("--watch belongs to --status", hint="passerelle rollout --status --watch")
        if self.weight is not None and not 0 <= self.weight <= LARGEST_WEIGHT:
            message = f"a weight of {self.weight} is no share of the requests in percent: 0 to {LARGEST_WEIGHT}"
            raise UsageError(message, hint=f"passerelle rollout --candidate {self.candidate} --weight 10")
        if self.key_header is not None and not _HEADER.fullmatch(self.key_header):
            message = f"'{self.key_header}' cannot be the name of a header: letters, digits and hyphens, 64 at most"
            raise UsageError(message, hint=f"passerelle rollout --candidate {self.candidate} --key-header {KEY_HEADER}")
        if self.target is not None and self.addresses:
            raise UsageError("--target and --address name two sets of services", hint=f"passerelle rollout --status --target {self.target}")
        if self.overlay is not None and self.target != "kubernetes":
            message = "--overlay belongs to --target kubernetes"
            raise UsageError(message, hint=f"passerelle rollout --status --target kubernetes --overlay {self.overlay}")
        self._check_gate()

    def _check_gate(self) -> None:
        if bool(self.held_out) != bool(self.labels) or (self.held_out and (self.candidate is None or self.shadow)):
            message = "--held-out names labelled rows, and --label the column of the right answer, for a candidate that answers"
            raise UsageError(message, hint="passerelle rollout --candidate N --weight 10 --held-out FILE --label COLUMN")
        check_held_out(self.held_out, hint="passerelle rollout --candidate N --weight 10 --held-out FILE --label COLUMN")
        check_acceptances(self.accept, self.reason, retry=f"passerelle rollout --candidate {self.candidate or 'N'} --weight {self.share}")
        what = "--force" if self.force else f"--waive {self.waive[0]}" if self.waive else ""
        if what and self.candidate is None:
            message = f"{what} belongs to a candidate that answers; a promotion is forced, or a check waived, by promote itself"
            raise UsageError(message, hint=f"passerelle promote --version N {what} --reason REASON")
        if what and self.shadow:
            raise UsageError(
                f"{what} changes nothing for a shadow, which no gate decides on",
                hint=f"passerelle rollout --candidate {self.candidate} --shadow",
            )
        if what and not (self.reason and self.reason.strip()):
            message = "a candidate is forced, or a check waived, with a reason"
            raise UsageError(message, hint=f"passerelle rollout --candidate {self.candidate} {what} --reason REASON")

    @property
    def mode(self) -> Literal["canary", "shadow"]:
        """Whether the candidate answers."""
        return "shadow" if self.shadow else "canary"

    @property
    def share(self) -> int:
        """Share of the requests, in percent."""
        return self.weight if self.weight is not None else _SHADOW_WEIGHT if self.shadow else _WEIGHT
