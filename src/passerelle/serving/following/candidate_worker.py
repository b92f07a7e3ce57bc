"""Follows the candidate for one worker process; the worker that polls also checks the candidate against its limits."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from passerelle.follow_settings import FollowSettings
from passerelle.model.ledger_entry import CANDIDATE_ENDED, Entry, parsed_entry, problem_of_terms
from passerelle.monitoring.live_comparison import broken_limits, counts_of
from passerelle.names import CANDIDATE_ALIAS, LEDGER_FILE
from passerelle.serving.following.failures import VersionRefusedError
from passerelle.serving.following.follower import Follower
from passerelle.serving.following.ledger_check import CANDIDATE
from passerelle.serving.following.mlflow_rest import AliasedVersion
from passerelle.serving.following.published import FollowState, Published
from passerelle.serving.following.target import Target
from passerelle.serving.following.worker import FollowingWorker

if TYPE_CHECKING:
    from passerelle.serving.following.live_candidate import CandidateSlot

#: To read what all workers counted takes milliseconds, in which requests wait: of a hundred, fewer than one.
_CHECK_S = 5.0
_NONE = FollowState("none")
_ENDED = "ended"


class CandidateFollower(Follower):
    """Polls the candidate's alias; without the alias, or once the ledger says so, there is no candidate."""

    role = CANDIDATE
    _doubted = False

    def _followed(self, version: AliasedVersion | None) -> FollowState:
        if version is None:
            self._withdraw(0)
            return _NONE
        state = super()._followed(version)
        # A new entry is told to MLflow in two steps, and a poll may come between them.
        doubted, self._doubted = self._doubted, state.code == "ledger"
        if state.state == "refused" and (doubted or not self._doubted):
            self._withdraw(0)
        return _NONE if state.code == _ENDED else state

    def _ledger_line(self, version: AliasedVersion, published: Published | None) -> tuple[bytes, int]:
        line, number = super()._ledger_line(version, published)
        entry = parsed_entry(line)
        if entry is not None and (problem := problem_of_terms(entry)) is not None:
            self._withdraw(number)
            hint = f"passerelle rollout --candidate {version.version} --weight 10"
            raise VersionRefusedError("terms", problem, hint=hint)
        if entry is None or entry.what == CANDIDATE_ENDED:
            self._withdraw(number)
            raise VersionRefusedError(_ENDED, f"entry {number} of the ledger ended the candidate", hint="passerelle rollout --status")
        return line, number

    def _withdraw(self, number: int) -> None:
        """Let no worker keep a candidate; an entry that was seen is not believed again once a later one was."""
        self._in_step = None
        published = self._board.published()
        highest = max(number, published.ledger_number if published else 0)
        none = Published(0, "", "", "", highest)
        if published != none and (published or number):
            self._board.publish(none)


class CandidateWorker(FollowingWorker):
    """Follows the candidate of one registered model for one worker process.

    Args:
        registered_model: Whose candidate.
        settings: As those of the version in production.
        slot: Where the candidate is put.
    """

    role = CANDIDATE
    follower = CandidateFollower

    def __init__(self, registered_model: str, settings: FollowSettings, slot: CandidateSlot) -> None:
        super().__init__(Target(registered_model, str(CANDIDATE_ALIAS)), settings, slot)
        self._slot = slot
        self._check_at = 0.0

    def _step(self) -> None:
        super()._step()
        if self._lock is not None and self._slot.current is not None and time.monotonic() >= self._check_at:
            self._check_at = time.monotonic() + _CHECK_S
            self.check_limits()

    def _take_published(self) -> None:
        published = self._board.published()
        if published is None or not published.folder:
            if self._served is not None:
                self._left[self._served.folder] = time.monotonic()
                self._say("there is no candidate any longer")
            self._served = None
            self._slot.withdraw()
            return
        super()._take_published()
        if self._served == published and (entry := self._entry(published)) is not None and entry.candidate is not None:
            self._slot.begin(published.ledger_number, entry.candidate, published.backed_out)
        elif self._served != published:
            # The candidate cannot be loaded here: production answers all of this worker's requests.
            self._slot.withdraw()

    def _entry(self, published: Published) -> Entry | None:
        """Return the entry about the candidate, which the worker that polls has verified."""
        entry = parsed_entry((self._board.versions / published.folder / LEDGER_FILE).read_bytes())
        return entry if entry is not None and entry.number == published.ledger_number else None

    def check_limits(self) -> None:
        """Send the candidate no more requests, in any worker of this service, once it breaks a limit."""
        live, published = self._slot.current, self._board.published()
        if live is None or live.backed_out or published is None or published.ledger_number != live.entry:
            return
        limits = dict(live.terms.limits)
        if live.terms.mode == "shadow":
            # A shadow scores in pauses, so that its times say nothing.
            limits.pop("max_latency_ratio", None)
        counts = counts_of(live.entry, [self._slot.metrics.render().decode()])
        if broken := broken_limits(counts, limits):
            self._board.publish(replace(published, backed_out="; ".join(broken)))
            self._say(f"version {published.version} gets no more requests: {'; '.join(broken)}", "passerelle rollout --status")
