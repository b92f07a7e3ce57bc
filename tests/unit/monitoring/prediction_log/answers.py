"""Answers for the tests of the prediction log, and what is read back from its folder."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from passerelle.log_settings import LogSettings
from passerelle.model.prediction_id import new_prediction_id
from passerelle.monitoring.prediction_log.content import AnsweredRecord
from passerelle.monitoring.prediction_log.writer import PredictionLog

MODEL: Any = SimpleNamespace(
    lineage={"registered_model": "classification", "artifact_digest": "sha256:00", "version": "7"},
    golden_inputs={b'{"text":"golden"}'},
)
TEXT = "Aucune réponse depuis trois mois"


def answered(number: int = 0, record: dict[str, object] | None = None, **changes: Any) -> AnsweredRecord:
    """Return an answer; its key's name holds the number."""
    record = {"text": TEXT} if record is None else record
    return AnsweredRecord(
        record,
        prediction_id=new_prediction_id("9f86d081"),
        model_version="7",
        label="a",
        probability=0.7,
        second_label="b",
        second_probability=0.2,
        review=False,
        output=None,
        known_ngrams=0.5,
        key_name=f"key-{number}",
        seconds=0.00123456,
        batch=False,
    )._replace(**changes)


def put(log: PredictionLog, number: int = 0, record: dict[str, object] | None = None, **changes: Any) -> bool:
    """Let the answer of `answered` be recorded, and return whether it will be."""
    return log.add((log.number_of(MODEL), *answered(number, record, **changes)))


def log_of(folder: Path, **settings: Any) -> PredictionLog:
    """Return a log in this folder, which is not started yet."""
    return PredictionLog(LogSettings.read({}, prediction_log=str(folder), **settings))


def lines_of(folder: Path, kind: str = "predictions") -> list[dict[str, Any]]:
    """Return the whole lines of all files, in the order of their names."""
    files = sorted(folder.glob(f"*/{kind}-*.jsonl"), key=lambda path: path.name)
    lines = [line for path in files for line in path.read_bytes().split(b"\n")]
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def keys_of(folder: Path) -> list[str]:
    """Return the names of the keys of all answers in the log's folder."""
    return [line["key_name"] for line in lines_of(folder)]


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)
