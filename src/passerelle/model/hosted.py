"""The client of the process that holds an adopted model, which runs in the model's own environment."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passerelle.errors import DamagedFileError, GoldenError
from passerelle.model.adoption import Adoption
from passerelle.model.answer import ScoredRow
from passerelle.model.host.frames import read_message, write_message

_START = Path(__file__).resolve().parent / "host" / "start.py"


@dataclass(frozen=True)
class Outputs:
    """What the model gave for some records.

    Attributes:
        values: For each record: a label, a number, a list of labels, or an object of named outputs, by the model's task.
        probabilities: For each record, those of the classes; None for a model without probabilities.
    """

    values: Sequence[Any]
    probabilities: Sequence[Sequence[float]] | None


class HostedModel:
    """One adopted model in a process of its own.

    Args:
        folder: Holds the model's directory and the record of its adoption.
        adoption: That record.
        python: The interpreter of the model's environment.

    Raises:
        IntegrityError: The process cannot read the model.
    """

    def __init__(self, folder: Path, adoption: Adoption, *, python: Path) -> None:
        self.adoption = adoption
        self._lock = threading.Lock()
        command = [str(python), "-I", "-B", str(_START), str(folder)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PATH": "/usr/bin:/bin"})
        described = self._read()
        self.classes: tuple[Any, ...] = tuple(described["classes"] or ())
        self.task = str(described["task"])

    def predict(self, records: Sequence[Mapping[str, object]], params: Mapping[str, object] | None = None) -> Outputs:
        """Return the model's outputs.

        Raises:
            ValueError: The model cannot take one of the records.
        """
        with self._lock:
            assert self._process.stdin is not None  # noqa: S101 - it was asked for
            write_message(self._process.stdin, {"do": "predict", "records": list(records), "params": dict(params or {})})
            answer = self._read()
        if "error" in answer:
            raise ValueError(f"the model raised {answer['type']}")
        return Outputs(answer["outputs"], answer["probabilities"])

    def rows(self, records: Sequence[Mapping[str, object]]) -> list[ScoredRow]:
        """Return the prediction of a classifier for each record.

        Raises:
            ValueError: As `predict`, or a label is not among the classes.
        """
        outputs = self.predict(records)
        rows: Sequence[Sequence[float] | None] = outputs.probabilities or [None] * len(outputs.values)
        return [ScoredRow(self.classes.index(label), row) for label, row in zip(outputs.values, rows, strict=True)]

    @property
    def pid(self) -> int | None:
        """The number of the process; None where none runs."""
        return self._process.pid

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait(timeout=10)

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        answer: dict[str, Any] | None = read_message(self._process.stdout)
        if answer is None:
            raise GoldenError("the process of the model ended", hint="passerelle status")
        if answer.get("error") == "load":
            raise DamagedFileError(f"the model cannot be read: {answer['type']}", hint="passerelle status")
        return answer
