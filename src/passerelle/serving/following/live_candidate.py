"""The candidate of one worker: which requests it answers, and what is counted of it and of production meanwhile."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from passerelle.model.ledger_entry import CandidateTerms
from passerelle.monitoring.rollout_metrics import Role, RolloutMetrics
from passerelle.serving.admission import UnfinishedError
from passerelle.serving.contract import RequestError, Values
from passerelle.serving.following.choice import falls_to_candidate
from passerelle.serving.following.shadow import ShadowQueue, ShadowRecord
from passerelle.serving.predictor import SWITCH_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from passerelle.model.loaded import LoadedModel
    from passerelle.model.mlmodel import ModelDescription
    from passerelle.monitoring.metrics import Metrics
    from passerelle.serving.following.worker import FollowingWorker
    from passerelle.serving.recording import Recorder
    from passerelle.settings import ServiceSettings

_INTERNAL = 500


class Answering(Protocol):
    """What answers records with a model: the runtime, or what compares."""

    async def classify(
        self,
        record: Mapping[str, Any],
        model: LoadedModel | None = None,
        recorder: Recorder | None = None,
        params: Values | None = None,
    ) -> dict[str, Any]:
        """Return the answer to one record."""

    async def classify_batch(
        self,
        records: Sequence[Mapping[str, Any]],
        model: LoadedModel | None = None,
        recorder: Recorder | None = None,
        params: Values | None = None,
    ) -> dict[str, Any]:
        """Return the answers to several records."""


class ProductionAnswers(Answering, Protocol):
    """What answers with the version in production.

    Attributes:
        settings: What is accepted and how it is answered.
        description: What the clients send records for.
        bento_model: The directory of the bento's own model.
    """

    settings: ServiceSettings
    bento_model: Path
    description: ModelDescription

    @property
    def metrics(self) -> Metrics:
        """The metrics of this worker."""

    @property
    def task(self) -> str | None:
        """What the bento's model was trained for; None where that is not known."""

    def ready(self) -> LoadedModel:
        """Return the model in production."""

    def ready_with(self, least: bytes | None) -> LoadedModel:
        """Return the model in production, of the version that a client insists on or a later one."""


@dataclass(frozen=True)
class LiveCandidate:
    """A candidate that is loaded.

    Attributes:
        entry: Number of the ledger's entry about it.
        key_header: Header by whose value a client's requests always get the same version.
        backed_out: Why no requests are sent to it any longer; empty while they are.
    """

    model: LoadedModel
    entry: int
    terms: CandidateTerms
    key_header: bytes
    backed_out: str = ""

    def gets(self, headers: Mapping[bytes, bytes]) -> bool:
        """Return whether a request with these headers falls to the candidate."""
        key = headers.get(self.key_header) or headers.get(b"x-request-id", b"")
        return falls_to_candidate(key, self.model.version, self.terms.weight)

    def reaches(self, least: bytes | None) -> bool:
        """Return whether it is of the version that a client insists on, or a later one."""
        return least is None or (least.isdigit() and self.model.version.isdigit() and int(self.model.version) >= int(least))


class CandidateSlot:
    """Where a worker that follows the candidate puts it; the version in production answers whatever does not fall to it.

    Args:
        runtime: Of the version in production.

    Attributes:
        model: The candidate that was loaded last.
        current: What takes part at this moment; None without a candidate.
        worker: What follows the candidate.
    """

    def __init__(self, runtime: ProductionAnswers) -> None:
        self._runtime = runtime
        self.model: LoadedModel | None = None
        self.current: LiveCandidate | None = None
        self.worker: FollowingWorker | None = None
        self.counts = RolloutMetrics(runtime.metrics.registry)
        self.shadow: ShadowQueue | None = None

    @property
    def bento_model(self) -> Path:
        """The directory of the bento's own model."""
        return self._runtime.bento_model

    @property
    def description(self) -> ModelDescription:
        """What the service's clients send records for."""
        return self._runtime.description

    @property
    def metrics(self) -> Metrics:
        """The metrics of this worker."""
        return self._runtime.metrics

    @property
    def task(self) -> str | None:
        """What the service answers."""
        return self._runtime.task

    def take(self, model: LoadedModel) -> None:
        """Keep a candidate that was loaded; it takes part once `begin` says how."""
        from passerelle.model.loaded import freeze  # noqa: PLC0415 - only a worker loads models

        # What the worker reads of its own counts must not keep a request waiting.
        sys.setswitchinterval(SWITCH_SECONDS)
        freeze()
        self.model = model

    def begin(self, entry: int, terms: CandidateTerms, backed_out: str) -> None:
        """Let the candidate that was taken take part under these terms."""
        assert self.model is not None  # noqa: S101 - taken before
        if terms.mode == "shadow" and self.shadow is None:
            self.shadow = ShadowQueue(self.counts, self._runtime.settings.review_threshold)
            self.shadow.start()
        if backed_out:
            self.counts.backed_out.labels(str(entry)).set(1)
        self.current = LiveCandidate(self.model, entry, terms, terms.key_header.lower().encode(), backed_out)

    def withdraw(self) -> None:
        """Let no candidate take part; requests that were begun end with it."""
        self.current = self.model = None

    def answering(self, headers: Mapping[bytes, bytes], least: bytes | None) -> tuple[LoadedModel, Answering]:
        """Return the model that answers a request, and what answers with it.

        Args:
            least: Value of the header by which a client insists on a version.

        Raises:
            RequestError: As `Runtime.ready_with`.
        """
        live, production = self.current, self._runtime.ready()
        if live is None or live.backed_out or live.model.version == production.version:
            return self._runtime.ready_with(least), self._runtime
        falls = live.gets(headers)
        if falls and live.terms.mode == "canary" and live.reaches(least):
            return live.model, ComparedAnswers(self._runtime, self, live, "candidate", least)
        return self._runtime.ready_with(least), ComparedAnswers(self._runtime, self, live, "production", least, shadowed=falls)

    def readiness(self) -> dict[str, Any]:
        """Return where the candidate stands, for /readyz."""
        live, state = self.current, asdict(self.worker.state) if self.worker else {}
        if live is None:
            return {"model_version": None, **state}
        terms = {"entry": live.entry, "mode": live.terms.mode, "weight": live.terms.weight, "backed_out": live.backed_out}
        return {"model_version": live.model.version, **terms, **state}


@dataclass(frozen=True)
class ComparedAnswers:
    """Answers one request, and counts it for the candidate or for production.

    Attributes:
        least: Version that the client insists on.
        shadowed: Whether the request falls to the candidate, which scores it beside the answer in shadow mode.
    """

    runtime: ProductionAnswers
    slot: CandidateSlot
    live: LiveCandidate
    role: Role
    least: bytes | None
    shadowed: bool = False

    async def classify(
        self,
        record: Mapping[str, Any],
        model: LoadedModel | None = None,
        recorder: Recorder | None = None,
        params: Values | None = None,
    ) -> dict[str, Any]:
        """Return the answer to one record; where the candidate fails, that of the version in production.

        Raises:
            RequestError: As `Runtime.classify`.
        """
        began = time.perf_counter()
        try:
            answer = await self.runtime.classify(record, model, recorder, params)
        except Exception as error:  # noqa: BLE001 - whatever a candidate raises, production answers in its place
            self._failed(error, model)
            answer = await self.runtime.classify(record, self.runtime.ready_with(self.least), recorder, params)
            self._refused_alone(error)
            return answer
        self._answered([answer], time.perf_counter() - began)
        if self.shadowed and self.live.terms.mode == "shadow" and self.slot.shadow is not None and "label" in answer:
            self.slot.shadow.offer(ShadowRecord(self.live.entry, self.live.model, record, answer["label"], answer["probability"]))
        return answer

    async def classify_batch(
        self,
        records: Sequence[Mapping[str, Any]],
        model: LoadedModel | None = None,
        recorder: Recorder | None = None,
        params: Values | None = None,
    ) -> dict[str, Any]:
        """Return the answers to several records, all by one version; a shadow does not score batches.

        Raises:
            RequestError: As `Runtime.classify_batch`.
        """
        began = time.perf_counter()
        try:
            answers = await self.runtime.classify_batch(records, model, recorder, params)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed(error, model)
            answers = await self.runtime.classify_batch(records, self.runtime.ready_with(self.least), recorder, params)
            self._refused_alone(error)
            return answers
        self._answered(answers["predictions"], time.perf_counter() - began)
        return answers

    def _answered(self, answers: Sequence[Mapping[str, Any]], seconds: float) -> None:
        version = str(answers[0]["model_version"]) if answers else self.live.model.version
        labels = [(str(answer.get("label", "")), bool(answer.get("review", False))) for answer in answers]
        self.slot.counts.answered(self.live.entry, self.role, version, seconds, labels)

    def _failed(self, error: Exception, model: LoadedModel | None) -> None:
        """Count a failure, and raise it again unless production answers in the candidate's place.

        Raises:
            Exception: Production failed, or the time for the request is over.
        """
        at_fault = not isinstance(error, RequestError) or error.status >= _INTERNAL
        if at_fault:
            version = model.version if model is not None else ""
            self.slot.counts.failed(self.live.entry, self.role, version)
        if self.role == "production" or isinstance(error, UnfinishedError):
            raise error

    def _refused_alone(self, error: Exception) -> None:
        """Count a record that the candidate refused and production answered."""
        if isinstance(error, RequestError) and error.status < _INTERNAL:
            self.slot.counts.failed(self.live.entry, "candidate", self.live.model.version)
