"""Replay the golden inputs over HTTP against a running service."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests

from passerelle.errors import IntegrityError, OutsideError
from passerelle.serving.golden import Golden

_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class SmokeReport:
    """What the service said to the golden inputs.

    Attributes:
        inputs: How many were replayed.
        largest_difference: Of a probability from the one seen at training.
    """

    inputs: int
    largest_difference: float
    seconds: float
    model_version: str


def replay_over_http(address: str, golden: Golden, *, expected_version: str, api_key: str | None = None) -> SmokeReport:
    """Return how the service answers the golden inputs, through its whole contract.

    Raises:
        IntegrityError: A label, a probability or the version differs; names the input's place, never its text.
        OutsideError: The service does not answer, or refuses an input.
    """
    began = time.perf_counter()
    largest = 0.0
    for place, (record, label) in enumerate(zip(golden.inputs, golden.labels, strict=True)):
        answer = _asked(address, record, api_key)
        if answer["model_version"] != expected_version:
            raise IntegrityError(f"{address} serves version {answer['model_version']}, not {expected_version}", hint="passerelle status")
        if answer["label"] != str(label):
            raise IntegrityError(
                f"the golden input {place} is « {answer['label']} » at {address} and was « {label} »", hint="passerelle status"
            )
        if golden.probabilities is not None:
            difference = _difference(answer["top"], golden.classes, golden.probabilities[place])
            if not difference <= golden.tolerance:
                raise IntegrityError(f"the golden input {place} differs by {difference:.3g} at {address}", hint="passerelle status")
            largest = max(largest, difference)
    return SmokeReport(len(golden.inputs), largest, time.perf_counter() - began, expected_version)


def _asked(address: str, record: Mapping[str, Any], api_key: str | None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    try:
        answer = requests.post(f"{address}/classify", json=dict(record), headers=headers, timeout=_TIMEOUT_S)
    except requests.RequestException as error:
        raise OutsideError(f"the service at {address} does not answer", hint="passerelle status") from error
    if answer.status_code != requests.codes.ok:
        code = answer.json().get("code") if answer.headers.get("content-type", "").startswith("application/json") else None
        raise OutsideError(f"the service at {address} answers {answer.status_code} ({code}) to a golden input", hint="passerelle monitor")
    return dict(answer.json())


def _difference(top: Sequence[Mapping[str, Any]], classes: Sequence[Any], seen: Sequence[float]) -> float:
    by_class = dict(zip(map(str, classes), seen, strict=True))
    return max(abs(float(entry["probability"]) - by_class[entry["label"]]) for entry in top)
