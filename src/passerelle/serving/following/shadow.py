"""Scores records with a candidate beside the answers, in a thread that takes a bounded share of one processor."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from passerelle.model.answer import label_text
from passerelle.monitoring.rollout_metrics import RolloutMetrics
from passerelle.serving.predictor import SWITCH_SECONDS

if TYPE_CHECKING:
    from passerelle.model.loaded import LoadedModel

#: Records that wait; one that comes when there are as many is dropped and counted.
_MOST = 256
#: Of the time, the thread scores at most this share: a request that comes meanwhile waits for the record, and of 100 requests the slowest
#: must not be one that waited.
_SHARE = 0.005
_PAUSE_S = 0.05


class ShadowRecord(NamedTuple):
    """A record that was answered.

    Attributes:
        entry: Of the ledger, about the candidate.
        model: The candidate.
        label: Of the answer.
        probability: Of that label; None for a model without probabilities.
    """

    entry: int
    model: LoadedModel
    record: Mapping[str, object]
    label: object
    probability: float | None


class ShadowQueue:
    """The records that a candidate is to score.

    Args:
        metrics: Where agreement is counted.
        review_threshold: As of the service's answers.
        most: Records that wait at most.
    """

    def __init__(self, metrics: RolloutMetrics, review_threshold: float, *, most: int = _MOST) -> None:
        self._metrics = metrics
        self._review_threshold = review_threshold
        self._most = most
        self._waiting: deque[ShadowRecord] = deque()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)

    def start(self) -> None:
        """Score from here on."""
        # The event loop must not wait for this thread to give the interpreter back.
        sys.setswitchinterval(SWITCH_SECONDS)
        self._thread.start()

    def stop(self) -> None:
        """Score no longer."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def offer(self, item: ShadowRecord) -> None:
        """Let the record be scored once there is time; never waits."""
        if len(self._waiting) >= self._most:
            self._metrics.shadowed(item.entry, "dropped")
            return
        self._waiting.append(item)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                item = self._waiting.popleft()
            except IndexError:
                self._stopped.wait(_PAUSE_S)
                continue
            began = time.perf_counter()
            self.score(item)
            self._stopped.wait((time.perf_counter() - began) * (1 / _SHARE - 1))

    def score(self, item: ShadowRecord) -> None:
        """Score one record, and count whether the candidate agrees."""
        model, began = item.model, time.perf_counter()
        try:
            row = model.rows([item.record])[0]
            answer = model.answer(row, review_threshold=self._review_threshold)
        except Exception:  # noqa: BLE001 - whatever a candidate raises, it is the candidate's failure
            self._metrics.shadowed(item.entry, "failed")
            self._metrics.failed(item.entry, "candidate", model.version)
            return
        seconds = time.perf_counter() - began
        self._metrics.answered(item.entry, "candidate", model.version, seconds, [(label_text(answer.label), answer.review)])
        self._metrics.shadowed(item.entry, "same" if answer.label == item.label else "different")
        if item.probability is not None and row.probabilities is not None:
            by_label = dict(zip(model.labels, row.probabilities, strict=True))
            self._metrics.differed(item.entry, abs(by_label.get(item.label, 0.0) - item.probability))
