"""How long a report on ten million logged answers takes, and how much memory: `python -m tests.drift.figures FOLDER [ANSWERS]`.

Writes the log into the folder, then runs `passerelle drift` on it in a process of its own.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow.parquet import write_table

from passerelle.monitoring.drift.signals import HISTORY
from passerelle.monitoring.prediction_log.arrow_rows import schema_of
from passerelle.monitoring.prediction_log.record import SCHEMA
from passerelle.monitoring.prediction_log.trees import FEEDBACK, PREDICTIONS, TEXTS, Tree
from tests.drift.simulated_month import LAST_DAY, MODEL, RUN, TOPICS, USUAL, VERSION

_TEXT_DAYS = 30
_LABELLED = 40


def hexadecimal(rng: np.random.Generator, rows: int, digits: int) -> list[str]:
    """Return random hexadecimal numbers."""
    text = rng.bytes(rows * digits // 2).hex()
    return [text[place : place + digits] for place in range(0, rows * digits, digits)]


def identifiers(rng: np.random.Generator, day: date, rows: int) -> list[str]:
    """Return ids of a day, in the form of those of the service."""
    begin = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
    times = np.sort(rng.integers(0, 86_400_000, rows)) + begin
    return [
        f"{at >> 16:08x}-{at & 0xFFFF:04x}-7{random[:3]}-8{random[3:6]}-{random[6:10]}{RUN}"
        for at, random in zip(times.tolist(), hexadecimal(rng, rows, 10), strict=True)
    ]


def write_day(log: Path, rng: np.random.Generator, day: date, rows: int) -> None:
    """Write the Parquet files of a day."""
    labels, subjects = list(TOPICS), [words for _, words in TOPICS.values()]
    places = rng.integers(0, len(labels), rows)
    ids = identifiers(rng, day, rows)
    answers: dict[str, Any] = {
        "prediction_id": ids, "at": [f"{day}T12:00:00.000+00:00"] * rows, "registered_model": [MODEL] * rows,
        "model_version": [VERSION] * rows, "artifact_digest": ["sha256:3"] * rows, "key_name": ["portal"] * rows,
        "label": [labels[place] for place in places], "probability": rng.uniform(0.3, 1.0, rows), "second_label": [labels[0]] * rows,
        "second_probability": rng.uniform(0.0, 0.3, rows), "review": rng.random(rows) < 0.1, "characters": rng.integers(20, 900, rows),
        "words": rng.integers(3, 120, rows), "known_ngrams": rng.uniform(0.6, 1.0, rows), "latency_ms": rng.exponential(1.5, rows) + 0.2,
        "batch": np.zeros(rows, dtype=bool), "golden": np.zeros(rows, dtype=bool),
        "record_digest": hexadecimal(rng, rows, 64), "value": [None] * rows, "schema": [SCHEMA] * rows,
    }  # fmt: skip
    write_tree(log, PREDICTIONS, day, answers)
    if day > LAST_DAY - timedelta(days=_TEXT_DAYS):
        kinds = [json.dumps({"text": form.format(word, 9)}) for words in subjects for word in words for form in USUAL]
        texts = [kinds[place] for place in rng.integers(0, len(kinds), rows)]
        write_tree(log, TEXTS, day, {"prediction_id": ids, "redaction": [1] * rows, "fields": texts, "schema": [SCHEMA] * rows})
    few = _LABELLED
    feedback = {
        "prediction_id": ids[:few], "at": answers["at"][:few], "registered_model": [MODEL] * few, "key_name": ["agents"] * few,
        "label": answers["label"][:few], "by": ["agent-1"] * few, "record_digest": [None] * few, "schema": [SCHEMA] * few,
    }  # fmt: skip
    write_tree(log, FEEDBACK, day, feedback)


def write_tree(log: Path, tree: Tree, day: date, columns: Mapping[str, object]) -> None:
    """Write one file of a tree."""
    folder = log / tree.partition(day)
    folder.mkdir(parents=True, exist_ok=True)
    write_table(pa.table(dict(columns), schema=schema_of(tree)), folder / "1.parquet", compression="zstd")


def measured(log: Path) -> str:
    """Return the wall time, the processor time and the memory of a report in a process of its own."""
    report = log.parent / "page.html"
    command = [sys.executable, "-m", "passerelle", "drift", "--day", LAST_DAY.isoformat(), "--log", str(log), "--report", str(report)]
    environment = {**os.environ, "PASSERELLE_STATE_DIR": str(log.parent / "state")}
    begin = time.perf_counter()
    done = subprocess.run([*command, "--json"], env=environment, capture_output=True, text=True, timeout=900, check=False)
    wall = time.perf_counter() - begin
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    state = json.loads(done.stdout)["state"]
    cpu, size = used.ru_utime + used.ru_stime, report.stat().st_size
    return f"{state}: {wall:.1f} s, {cpu:.1f} s of processor time, {used.ru_maxrss / 1024:.0f} MiB, page of {size / 1000:.0f} kB"


if __name__ == "__main__":
    folder, wanted = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10_000_000
    if not (folder / "log").exists():
        random = np.random.default_rng(0)
        for back in range(HISTORY):
            write_day(folder / "log", random, LAST_DAY - timedelta(days=back), wanted // HISTORY)
    sys.stdout.write(measured(folder / "log") + "\n")
