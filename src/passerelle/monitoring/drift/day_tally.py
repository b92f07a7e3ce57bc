"""The answers of one day added up from batches of the prediction log, so that any number of them takes little memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from passerelle.monitoring.daily_sample import sample_of
from passerelle.monitoring.drift.day_counts import DayCounts, Sums
from passerelle.monitoring.drift.rules import Measure
from passerelle.names import RUN_ID_LENGTH_IN_TAG

#: Columns of the log that are read of each answer.
COLUMNS: Final = (
    "prediction_id", "registered_model", "model_version", "label", "probability", "review", "words", "known_ngrams", "latency_ms", "batch",
    "golden", "record_digest",
)  # fmt: skip
_DIGITS_OF_A_DIGEST: Final = 16
#: Upper ends of the latency's buckets, a twentieth apart.
_BUCKETS_MS: Final = np.geomspace(0.01, 60_000, 320)


class DayTally:
    """Adds up one day.

    Attributes:
        run_prefixes: Of the runs of the models that answered, by which their texts are known.

    Args:
        feedback: The right label of answers of this day, by prediction id.
        sample_size: Answers of the daily random sample.
    """

    def __init__(self, day: date, feedback: Mapping[str, str] | None = None, sample_size: int = 0) -> None:
        self.day = day
        self._feedback, self._sample_size = dict(feedback or {}), sample_size
        self._sampled: Sequence[str] = ()
        self._right: dict[str, bool] = {}
        self._ids = pa.array(list(self._feedback), pa.string())
        self._answers = 0
        self._labels: Counter[str] = Counter()
        self._versions: Counter[str] = Counter()
        self._sums: dict[Measure, Sums] = {}
        self._digests: list[NDArray[np.uint64]] = []
        self._latencies = np.zeros(len(_BUCKETS_MS) + 1, dtype=np.int64)
        self.run_prefixes: set[str] = set()

    def add_answers(self, batch: pa.RecordBatch) -> None:
        """Add answers that all are of this day, with `COLUMNS`; those to golden inputs are the deployments' own."""
        batch = batch.filter(pc.invert(pc.fill_null(batch.column("golden"), False)))
        self._answers += batch.num_rows
        endings = pc.utf8_slice_codeunits(batch.column("prediction_id"), -RUN_ID_LENGTH_IN_TAG, None)
        self.run_prefixes |= set(pc.unique(endings).to_pylist())
        for counter, name in ((self._labels, "label"), (self._versions, "model_version")):
            for each in pc.value_counts(batch.column(name)).to_pylist():
                counter[str(each["values"])] += each["counts"]
        self._add("review", batch.num_rows, int(pc.sum(batch.column("review")).as_py() or 0))
        self._add_values("confidence", _numbers(batch, "probability"))
        self._add_values("unknown_ngrams", 1.0 - _numbers(batch, "known_ngrams"))
        self._add_values("length", np.log1p(_numbers(batch, "words")))
        single = pc.invert(pc.fill_null(batch.column("batch"), False))
        latencies = np.maximum(_numbers(batch.filter(single), "latency_ms"), _BUCKETS_MS[0])
        self._add_values("latency", np.log(latencies))
        self._latencies += np.bincount(np.searchsorted(_BUCKETS_MS, latencies), minlength=len(self._latencies))
        self._digests.append(_short_digests(batch.column("record_digest")))
        self._add_feedback(batch)

    def counts(self) -> DayCounts:
        """Return what was added."""
        self._sums["accuracy"], self._sums["corrections"] = self._labelled()
        digests = np.concatenate([*self._digests, np.empty(0, dtype=np.uint64)])
        if len(digests):
            times = np.unique(digests, return_counts=True)[1]
            self._sums["duplicates"] = Sums(len(digests), float(len(digests) - len(times)), float(len(digests) - len(times)))
        most = int(times.max()) if len(digests) else 0
        labels, versions = dict(sorted(self._labels.items())), dict(sorted(self._versions.items()))
        return DayCounts(self.day, self._answers, labels, versions, self._sums, most, self._percentiles())

    def _add(self, name: Measure, records: int, total: float, squares: float | None = None) -> None:
        self._sums[name] = self._sums.get(name, Sums()).plus(records, total, squares)

    def _add_values(self, name: Measure, values: NDArray[np.float64]) -> None:
        if len(values):
            self._add(name, len(values), float(values.sum()), float((values * values).sum()))

    def _add_feedback(self, batch: pa.RecordBatch) -> None:
        if not self._feedback:
            return
        # The sample of samples of parts is that of the whole.
        self._sampled = sample_of([*self._sampled, *batch.column("prediction_id").to_pylist()], self.day, self._sample_size)
        known = batch.filter(pc.is_in(batch.column("prediction_id"), value_set=self._ids))
        for answer, label in zip(known.column("prediction_id").to_pylist(), known.column("label").to_pylist(), strict=True):
            self._right[answer] = self._feedback[answer] == label

    def _labelled(self) -> tuple[Sums, Sums]:
        """Return the accuracy on the sample, and the corrections of the other answers."""
        sample = self._right.keys() & {*self._sampled}
        right = sum(self._right[answer] for answer in sample)
        wrong = sum(not right for answer, right in self._right.items() if answer not in sample)
        return Sums().plus(len(sample), right), Sums().plus(self._answers - len(sample), wrong)

    def _percentiles(self) -> tuple[float, float] | None:
        if not self._latencies.any():
            return None
        reached = np.cumsum(self._latencies) / self._latencies.sum()
        half, most = (_BUCKETS_MS[min(int(np.searchsorted(reached, share)), len(_BUCKETS_MS) - 1)] for share in (0.5, 0.95))
        return round(float(half), 3), round(float(most), 3)


def _numbers(batch: pa.RecordBatch, name: str) -> NDArray[np.float64]:
    """Return the values of a column, without nulls and NaN."""
    values: Any = batch.column(name).drop_null().cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.asarray(values[np.isfinite(values)], dtype=np.float64)


def _short_digests(column: pa.Array) -> NDArray[np.uint64]:
    """Return the first 64 bits of each hexadecimal digest, without nulls: of ten million records, no two share them by chance."""
    digits = pc.utf8_slice_codeunits(column.drop_null(), 0, _DIGITS_OF_A_DIGEST)
    digits = digits.filter(pc.equal(pc.binary_length(digits), _DIGITS_OF_A_DIGEST))
    joined = np.frombuffer("".join(digits.to_pylist()).encode(), dtype=np.uint8).reshape(-1, _DIGITS_OF_A_DIGEST)
    # "0" to "9" are 0x30 to 0x39, "a" to "f" 0x61 to 0x66.
    halves = ((joined & 0xF) + 9 * (joined >> 6)).astype(np.uint8)
    packed = np.ascontiguousarray(halves[:, ::2] << 4 | halves[:, 1::2])
    return packed.view(np.uint64).ravel()
