"""The processor time of one answer in production, which is the same on a busy machine as on an idle one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from threadpoolctl import threadpool_limits

from passerelle.model.classifier import pipeline_predict
from passerelle.model.flavors import TRAINED_FLAVOR
from passerelle.model.golden import read_golden
from passerelle.model.loaded import compiled
from passerelle.scorer.compile.pipeline import compile_pipeline
from passerelle.scorer.compile.refusal import NotCompilable
from passerelle.scorer.scorer import CompiledScorer

#: Rounds over all records; the best of them counts for each record.
ROUNDS = 3
#: Records that are timed.
RECORDS = 30
Record = Mapping[str, object]


class Latency(NamedTuple):
    """The median and the 95th percentile over the records, in milliseconds of processor time."""

    p50_ms: float
    p95_ms: float


def latency(
    pipeline: BaseEstimator,
    records: pd.DataFrame,
    *,
    rounds: int = ROUNDS,
    flavor: str = TRAINED_FLAVOR,
    scorer: CompiledScorer | NotCompilable | None = None,
) -> Latency:
    """Return what the answer to one record costs the scorer that the pipeline compiles to, or else the pipeline itself.

    Processor time, because wall time depends on what else runs on the machine. It is the whole process's: a model may hand
    work to threads of its own. Libraries are held to one thread, as they are in the service.
    Each record counts with its best round: caches that others emptied, and threads of this process that did something else, only add.

    Args:
        pipeline: A fitted classifier.
        records: One row a record, with the columns of the pipeline.
        flavor: Of the pipeline.
        scorer: What `what_answers` found; by default what the pipeline compiles to.
    """
    dictionaries: list[Record] = [{str(name): value for name, value in record.items()} for record in records.to_dict(orient="records")]
    with threadpool_limits(limits=1):
        answer, forget = _answers(pipeline, scorer or compile_pipeline(pipeline), dictionaries[0], flavor)
        taken_ms = [_round_ms(answer, forget, dictionaries) for _ in range(rounds)]
    best_ms = np.min(taken_ms, axis=0)
    return Latency(float(np.percentile(best_ms, 50)), float(np.percentile(best_ms, 95)))


def what_answers(pipeline: BaseEstimator, golden: Path | None) -> CompiledScorer | NotCompilable:
    """Return the scorer that answers in production, or why the pipeline itself does.

    Args:
        golden: File of the predictions that a scorer has to reproduce; None of an older version, which was registered without digests.

    Raises:
        IntegrityError: The file holds no golden predictions.
    """
    if golden is None:
        return compile_pipeline(pipeline)
    scorer, why, _ = compiled(pipeline, read_golden(golden))
    return scorer if scorer is not None else NotCompilable(str(why), "")


def _answers(
    pipeline: BaseEstimator, scorer: CompiledScorer | NotCompilable, first: Record, flavor: str
) -> tuple[Callable[[Record], object], Callable[[], None]]:
    """Return the scorer or the pipeline, after its first answer, and what lets it forget the texts that it was given."""
    if isinstance(scorer, NotCompilable):
        predict = pipeline_predict(pipeline, list(first), flavor=flavor)
        predict([first])
        return lambda record: predict([record]), lambda: None
    scorer.answer(dict.fromkeys(scorer.columns, ""))
    return scorer.answer, scorer.forget


def _round_ms(answer: Callable[[Record], object], forget: Callable[[], None], records: Sequence[Record]) -> list[float]:
    # A scorer remembers the words that it has seen, and in production a text is new to it.
    forget()
    taken_ms = []
    for record in records:
        began = time.process_time()
        answer(record)
        taken_ms.append((time.process_time() - began) * 1_000)
    return taken_ms
