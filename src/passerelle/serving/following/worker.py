"""The thread of a worker that follows: one worker of a service polls, all of them serve what it publishes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from passerelle.errors import PasserelleError
from passerelle.follow_settings import FollowSettings
from passerelle.names import ARTIFACT_DIGEST, LEDGER_FILE, LINEAGE_FILE
from passerelle.regular_file import MOST_MODEL_BYTES, read_json_file, read_regular_file
from passerelle.serving.failure import loading_failure
from passerelle.serving.following.acceptance import accepted
from passerelle.serving.following.download import not_written
from passerelle.serving.following.failures import VersionRefusedError
from passerelle.serving.following.follower import Follower
from passerelle.serving.following.ledger_check import PRODUCTION, LedgerRole, check_entry
from passerelle.serving.following.mlflow_rest import AliasedVersion
from passerelle.serving.following.poll_request import last_request, request_poll
from passerelle.serving.following.published import Board, FollowState, Published
from passerelle.serving.following.target import Target
from passerelle.settings import SigningSettings

if TYPE_CHECKING:
    from passerelle.model.loaded import LoadedModel
    from passerelle.model.mlmodel import ModelDescription
    from passerelle.monitoring.metrics import Metrics

#: Each look at the files takes the interpreter from the requests; whoever asks for a poll wakes the worker that polls.
_TICK_S, _TRY_TO_LEAD_S = 0.25, 1.0
_LEAST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 30.0
_RETRY_LOAD_S, _AFTER_FAILURE_S = 10.0, 1.0
_LOCK = "leader.lock"
#: After which no request is answered by a former version any longer, whose process may end.
_LONGEST_REQUEST_S = 60.0


class Service(Protocol):
    """What is known of the service that follows.

    Attributes:
        model: What it answers with at this moment.
    """

    model: LoadedModel | None

    @property
    def bento_model(self) -> Path:
        """The directory of the bento's own model."""

    @property
    def description(self) -> ModelDescription:
        """What its clients send records for."""

    @property
    def metrics(self) -> Metrics:
        """The metrics of this worker."""

    @property
    def task(self) -> str | None:
        """What the bento's model was trained for; None where that is not known."""

    def take(self, model: LoadedModel) -> None:
        """Answer with this model from here on."""


class FollowingWorker:
    """Follows one alias for one worker process.

    Args:
        target: What is followed.
        settings: How.
        service: Where the model is swapped.

    Attributes:
        state: Where the last poll, of whichever worker, left matters.
        first_poll: Set once the registry was asked, whatever the answer.
        role: Which entries of the ledger put a version where the alias points to.
    """

    role: LedgerRole = PRODUCTION
    follower: type[Follower] = Follower

    def __init__(self, target: Target, settings: FollowSettings, service: Service) -> None:
        self.target = target
        self.state = FollowState()
        self._settings = settings
        self._service = service
        self._board = Board(target.folder(settings.follow_dir))
        self._loaded: dict[str, LoadedModel] = {}
        self._left: dict[str, float] = {}
        # Models that answer no new request, and when the last one that was begun has ended.
        self._closing: list[tuple[LoadedModel, float]] = []
        self._served: Published | None = None
        self._follower: Follower | None = None
        self._lock: int | None = None
        self._changed = (0, 0)
        self._retry_at = self._lead_at = 0.0
        self._due = self._least_pause_ends = 0.0
        self._failures = 0
        self._started = False
        self._last_request = 0
        self.first_poll = threading.Event()
        self._stopped, self._wake = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"follow {target}", daemon=True)

    def poll_now(self) -> None:
        """Let the worker that polls do so at once; where the folder cannot be written, the next poll comes in its time."""
        with contextlib.suppress(OSError):
            request_poll(self._board.folder)
        # A flood of requests wakes it no more often than it may poll.
        if self._lock is not None and time.monotonic() >= self._least_pause_ends:
            self._wake.set()

    def start(self) -> None:
        """Take the last good version from the disk, and follow from here on; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Follow no longer, and let another worker poll; what is served stays."""
        self._stopped.set()
        self._wake.set()
        self._thread.join()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._step()
            except OSError as error:
                failed = not_written(self._board.folder, error)
                self._report(FollowState("not_reached", None, failed.code, failed.message, failed.hint), of_this_worker=True)
                self.first_poll.set()
                self._stopped.wait(_AFTER_FAILURE_S)
            except Exception as error:  # noqa: BLE001 - a thread that ended would follow nothing and say nothing
                message = f"following failed: {type(error).__name__}"
                self._report(FollowState("not_reached", None, "internal", message, "passerelle status"), of_this_worker=True)
                self.first_poll.set()
                self._stopped.wait(_AFTER_FAILURE_S)
            self._wake.wait(_TICK_S)
            self._wake.clear()

    def _step(self) -> None:
        if self._changed == (0, 0):
            self._board.make()
        now = time.monotonic()
        leads = self._leads(now)
        if not leads and not self._started:
            # It is ready when it has seen a poll, which may be long in coming.
            request_poll(self._board.folder)
        self._started = True
        if leads and self._is_due(now):
            self._poll()
        changed = self._board.changed()
        if changed != self._changed or (self._retry_at and now >= self._retry_at):
            polled = changed[1] != self._changed[1]
            begun = self._changed != (0, 0)
            self._changed = changed
            self._take_published()
            self._report(self._board.state())
            # What was told before this worker started says nothing of its first poll.
            if polled and (begun or self._lock is not None):
                self.first_poll.set()
        self._drop_former(now)

    def _leads(self, now: float) -> bool:
        """Return whether this worker is the one that polls; the lock goes with the process that holds it."""
        if self._lock is not None or now < self._lead_at:
            return self._lock is not None
        self._lead_at = now + _TRY_TO_LEAD_S
        descriptor = os.open(self._board.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except OSError:
            # A file system without locks: nobody would ever poll, and nothing would say why.
            os.close(descriptor)
            raise
        self._lock = descriptor
        self._take_published()
        self._follower = self.follower(self.target, self._settings, self._board, accept=self._accept, loaded=self._loaded)
        return True

    def _is_due(self, now: float) -> bool:
        # A client that asks often does not decide how often the registry is asked.
        if now >= self._least_pause_ends and (request := last_request(self._board.folder)) != self._last_request:
            self._last_request = request
            return True
        return now >= self._due

    def _poll(self) -> None:
        assert self._follower is not None  # noqa: S101 - made with the lock
        state = self._follower.poll()
        self._service.metrics.follow_polls.labels(str(self.target), state.code or state.state).inc()
        self._failures = self._failures + 1 if state.state == "not_reached" else 0
        pause = min(
            self._settings.follow_interval_s * 2 ** min(self._failures, 10), max(_LONGEST_PAUSE_S, self._settings.follow_interval_s)
        )
        self._least_pause_ends = time.monotonic() + min(_LEAST_PAUSE_S, pause)
        self._due = time.monotonic() + pause * random.uniform(0.9, 1.1)  # noqa: S311 - so that replicas do not ask at the same moment
        self._board.tell(state)

    def _accept(self, folder: Path, lineage: Mapping[str, object]) -> LoadedModel:
        service, most_cpu_ms = self._service, self._settings.follow_most_cpu_ms
        return accepted(folder, service.description, service.task, lineage, most_cpu_ms=most_cpu_ms, bento_model=service.bento_model)

    def _take_published(self) -> None:
        """Serve what is published; where it cannot be loaded here, what is served stays, and the load is tried again."""
        published, self._retry_at = self._board.published(), 0.0
        if published is None or published == self._served:
            return
        try:
            model = self._loaded.get(published.folder) or self._from_disk(published)
        except VersionRefusedError as error:
            message = f"version {published.version} cannot be loaded by process {os.getpid()}: {error.message}"
            self._say(message, error.hint, of_this_worker=True)
            self._retry_at = time.monotonic() + _RETRY_LOAD_S
            return
        former = self._service.model
        if model is not former:
            self._service.take(model)
            if former is not None and all(former is not each for each in self._loaded.values()):
                # The bento's own model, to which no rollback leads without loading it again.
                self._closing.append((former, time.monotonic() + _LONGEST_REQUEST_S))
            self._service.metrics.follow_swaps.labels(str(self.target)).inc()
            was = f" in place of version {former.version}" if former else ""
            self._say(f"serves version {model.version}{was}")
        if self._served is not None and self._served.folder != published.folder:
            self._left[self._served.folder] = time.monotonic()
        self._loaded[published.folder], self._served = model, published
        self._left.pop(published.folder, None)

    def _from_disk(self, published: Published) -> LoadedModel:
        """Return a version that was published, checked as if nobody had looked at it before.

        Raises:
            VersionRefusedError: It is not what was published, or cannot be loaded.
        """
        folder = self._board.versions / published.folder
        try:
            lineage = read_json_file(folder / LINEAGE_FILE, MOST_MODEL_BYTES)
            identity = (str(lineage["version"]), lineage["run_id"], lineage["artifact_digest"])
            if identity != (str(published.version), published.run_id, published.artifact_digest):
                raise VersionRefusedError("lineage", f"the lineage in {folder} is that of another version", hint="passerelle status")
            if self._settings.follow_ledger == "on":
                version = AliasedVersion(
                    self.target.registered_model, published.version, published.run_id, 0, {ARTIFACT_DIGEST: published.artifact_digest}
                )
                check_entry(read_regular_file(folder / LEDGER_FILE), version, SigningSettings.read(), self.role)
            return self._accept(folder, lineage)
        except (OSError, ValueError, KeyError, TypeError, PasserelleError) as error:
            raise VersionRefusedError.of("load", loading_failure(error, folder)) from error

    def _drop_former(self, now: float) -> None:
        for folder, since in list(self._left.items()):
            if now - since >= self._settings.follow_keep_s:
                del self._left[folder]
                if (former := self._loaded.pop(folder, None)) is not None:
                    self._closing.append((former, now + _LONGEST_REQUEST_S))
        ended = [model for model, at in self._closing if now >= at]
        self._closing = [(model, at) for model, at in self._closing if now < at]
        for model in ended:
            if model is not self._service.model:
                model.close()

    def _report(self, state: FollowState, *, of_this_worker: bool = False) -> None:
        """Take this state, and say so once where it is another than before."""
        if state != self.state:
            if state.message:
                where = f"does not follow to version {state.alias_version}" if state.alias_version else "cannot follow"
                self._say(f"{where} ({state.code}): {state.message}", state.hint, of_this_worker=of_this_worker)
            elif self.state.message:
                self._say("follows again")
        self.state = state
        self._service.metrics.follow_in_step.labels(str(self.target)).set(1 if state.state in ("in_step", "none") else 0)

    def _say(self, message: str, hint: str = "", *, of_this_worker: bool = False) -> None:
        """Print what concerns the service once, by the worker that polls; what concerns one worker alone, by that worker."""
        if self._lock is not None or of_this_worker:
            # A log on a full disk ends no thread.
            next_lines = "\n  next: " + hint.replace("\n", "\n    or: ") if hint else ""
            with contextlib.suppress(OSError):
                print(f"following {self.target}: {message}{next_lines}", file=sys.stderr, flush=True)  # noqa: T201
