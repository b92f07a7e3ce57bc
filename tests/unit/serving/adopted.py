"""Adopted models for the tests of the service: their record as adoption writes it, and in place of their process a function."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from passerelle.errors import ModelEndedError
from passerelle.model.adoption import ADOPTION_FILE, Adoption, Task
from passerelle.model.golden import Golden
from passerelle.model.hosted import HostedModel, Outputs
from passerelle.model.loaded import LoadedModel
from passerelle.model.mlmodel import describe
from passerelle.names import MODEL_FOLDER
from passerelle.serving.runtime import Runtime
from passerelle.settings import ServiceSettings

RUN = "9f86d0815d1c4b7d2a1e9c385f0c4b7d"
TEXT_COLUMN: list[dict[str, object]] = [{"name": "text", "type": "string"}]


class Hosted(HostedModel):
    """In the place of a model's process.

    Attributes:
        asked: The records and the params of each prediction.
        ended: Whether the process ended for good.
    """

    def __init__(
        self, predict: Callable[[Mapping[str, Any]], object], probabilities: Sequence[float] | None, classes: Sequence[object]
    ) -> None:
        self.asked: list[tuple[list[Mapping[str, object]], Mapping[str, object] | None]] = []
        self.ended = False
        self.failure: Exception | None = None
        self.classes = tuple(classes)
        self._predict_one = predict
        self._probabilities = probabilities

    @property
    def alive(self) -> bool:
        return not self.ended

    def predict(self, records: Sequence[Mapping[str, object]], params: Mapping[str, object] | None = None) -> Outputs:
        self.asked.append((list(records), params))
        if self.failure is not None:
            raise self.failure
        if self.ended:
            raise ModelEndedError("the process of the model ended", hint="passerelle status")
        values = [self._predict_one(record) for record in records]
        return Outputs(values, None if self._probabilities is None else [self._probabilities] * len(values))


def adopted_runtime(
    folder: Path,
    task: Task,
    predict: Callable[[Mapping[str, Any]], object],
    *,
    inputs: Sequence[Mapping[str, object]] = TEXT_COLUMN,
    outputs: Sequence[Mapping[str, object]] = (),
    params: Sequence[Mapping[str, object]] = (),
    classes: Sequence[object] = (),
    labels: Mapping[str, str] | None = None,
    probabilities: Sequence[float] | None = None,
    **settings: Any,
) -> tuple[Runtime, Hosted]:
    """Return the runtime of an adopted model, and what stands in for its process."""
    signature = {"inputs": json.dumps(inputs), "outputs": json.dumps(outputs), "params": json.dumps(params)}
    record = Adoption("models:/m-1", "", "sklearn", task, signature, "signature", "3.11", labels=labels or {}, pickled=True)
    (folder / MODEL_FOLDER).mkdir(parents=True)
    (folder / ADOPTION_FILE).write_text(record.canonical())
    runtime = Runtime(folder, ServiceSettings.read(access_log=False, **settings))
    hosted = Hosted(predict, probabilities, classes)
    lineage = {"registered_model": "test", "version": "7", "run_id": RUN}
    golden = Golden((), (), (), None, 1e-6)
    description = describe(folder / MODEL_FOLDER)
    runtime.take(LoadedModel(lineage, description, hosted.classes, hosted, None, "adopted", golden, 0.0, 0.0, "2026-11-26T12:00:00+00:00"))
    return runtime, hosted
