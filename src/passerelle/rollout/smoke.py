"""Replay the golden inputs against a running service, over HTTP or from inside of its container."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import requests

from passerelle.errors import GoldenError, IntegrityError, OutsideError
from passerelle.model.golden import Golden, same_value
from passerelle.model.host.values import NUMBER
from passerelle.names import CLASSIFY, GOLDEN_REPLAY_HEADER, PREDICT

_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class SmokeReport:
    """The service's answers to the golden inputs, compared.

    Attributes:
        inputs: How many were replayed.
        largest_difference: Of a probability from the one seen at training.
    """

    inputs: int
    largest_difference: float
    seconds: float
    model_version: str


class TopLabel(TypedDict):
    """One of the likeliest labels."""

    label: object
    probability: float


class ServiceAnswer(TypedDict):
    """What is read of the service's answer to a record: the labels of a classifier, or what another model predicts."""

    model_version: str
    label: NotRequired[object]
    top: NotRequired[list[TopLabel]]
    prediction: NotRequired[object]
    labels: NotRequired[list[dict[str, object]]]


#: Gives the service's answers to all of the records, in their order.
Asker = Callable[[Sequence[Mapping[str, object]]], Sequence[ServiceAnswer]]


def replay(ask: Asker, golden: Golden, *, where: str, expected_version: str, following: bool = False) -> SmokeReport:
    """Return how the service answers the golden inputs, through its public contract.

    Args:
        ask: Sends the records to the service.
        where: Names the service in errors.
        following: Whether the service may answer with another version by now, which it held to its own golden predictions; the
            replay ends there.

    Raises:
        IntegrityError: A label, a probability or the version differs; names the input's place, never its text.
        OutsideError: The service does not answer, or refuses an input.
    """
    began = time.perf_counter()
    largest = 0.0
    # A number that is none has no form in a request.
    places = [place for place, record in enumerate(golden.inputs) if all(map(_has_form, record.values()))]
    for place, answer in zip(places, ask([golden.inputs[place] for place in places]), strict=True):
        if answer["model_version"] != expected_version:
            if following:
                return SmokeReport(places.index(place), largest, time.perf_counter() - began, answer["model_version"])
            raise IntegrityError(f"{where} serves version {answer['model_version']}, not {expected_version}", hint="passerelle status")
        _check_value(answer, golden, place, where)
        if golden.probabilities is not None and "top" in answer:
            difference = _difference(answer["top"], golden.classes, golden.probabilities[place])
            if not difference <= golden.tolerance:
                raise GoldenError(f"the golden input {place} differs by {difference:.3g} at {where}", hint="passerelle status")
            largest = max(largest, difference)
    return SmokeReport(len(places), largest, time.perf_counter() - began, expected_version)


def replay_over_http(
    address: str, golden: Golden, *, expected_version: str, api_key: str | None = None, following: bool = False
) -> SmokeReport:
    """Return how the service at an address answers the golden inputs.

    Raises:
        As `replay`.
    """
    return replay(
        lambda records: [_classify(address, record, api_key) for record in records],
        golden,
        where=address,
        expected_version=expected_version,
        following=following,
    )


def inside(run: Callable[[Sequence[str], str], subprocess.CompletedProcess[str]], *, where: str, api_key: str | None) -> Asker:
    """Return a function that sends the records from inside the service's own container, without a published port.

    Args:
        run: Runs a command in the container with this text as its input.
    """

    def ask(records: Sequence[Mapping[str, object]]) -> Sequence[ServiceAnswer]:
        given = json.dumps(
            {"records": [dict(record) for record in records], "key": api_key, "paths": [CLASSIFY, PREDICT], "mark": GOLDEN_REPLAY_HEADER}
        )
        done = run(("python3", "-I", "-S", "-c", _ASK_INSIDE), given)
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["it ended and printed nothing"])[-1]
            raise OutsideError(f"{where} does not answer the golden inputs: {reason}", hint="passerelle status")
        answers: list[dict[str, Any]] = json.loads(done.stdout)
        for answer in answers:
            if answer["status"] != requests.codes.ok:
                raise _refused(where, answer["status"], answer["body"].get("code"))
        return [answer["body"] for answer in answers]

    return ask


_ASK_INSIDE = """
import http.client, json, os, sys
given = json.load(sys.stdin)
connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("BENTOML_PORT", "3000")), timeout=30)
headers = {"Content-Type": "application/json", given["mark"]: "smoke"}
if given["key"]:
    headers["Authorization"] = "Bearer " + given["key"]
answers = []
paths = given["paths"]
for record in given["records"]:
    for path in list(paths):
        connection.request("POST", path, json.dumps(record).encode(), headers)
        answer = connection.getresponse()
        body = json.loads(answer.read())
        if answer.status != 404:
            paths = [path]
            break
    answers.append({"status": answer.status, "body": body})
print(json.dumps(answers))
"""


def _classify(address: str, record: Mapping[str, object], api_key: str | None) -> ServiceAnswer:
    headers = {GOLDEN_REPLAY_HEADER: "smoke", **({"Authorization": f"Bearer {api_key}"} if api_key else {})}
    try:
        answer = requests.post(f"{address}{CLASSIFY}", json=dict(record), headers=headers, timeout=_TIMEOUT_S)
        if answer.status_code == requests.codes.not_found:  # the model is no classifier
            answer = requests.post(f"{address}{PREDICT}", json=dict(record), headers=headers, timeout=_TIMEOUT_S)
    except requests.RequestException as error:
        raise OutsideError(f"the service at {address} does not answer", hint="passerelle status") from error
    if answer.status_code != requests.codes.ok:
        code = answer.json().get("code") if answer.headers.get("content-type", "").startswith("application/json") else None
        raise _refused(f"the service at {address}", answer.status_code, code)
    given: ServiceAnswer = answer.json()
    return given


def _refused(where: str, status: int, code: object) -> OutsideError:
    hint = "passerelle monitor"
    if status in (requests.codes.unauthorized, requests.codes.forbidden):
        hint = "export PASSERELLE_API_KEY=KEY\npasserelle keys make NAME"
    return OutsideError(f"{where} answers {status} ({code}) to a golden input", hint=hint)


def _has_form(value: object) -> bool:
    """Return whether a value can be sent: JSON has no NaN."""
    if isinstance(value, Mapping):
        return NUMBER not in value and all(map(_has_form, value.values()))
    return all(map(_has_form, value)) if isinstance(value, list | tuple) else True


def _check_value(answer: ServiceAnswer, golden: Golden, place: int, where: str) -> None:
    """Check the label, the labels or the prediction of an answer against the golden one.

    Raises:
        IntegrityError: It differs.
    """
    now: object
    seen = golden.labels[place]
    if "labels" in answer:
        now, seen = sorted(str(each["label"]) for each in answer["labels"] if each["given"]), sorted(map(str, _list(seen)))
    elif "prediction" in answer:
        now, seen = answer["prediction"], _sent(seen)
    else:
        now, seen = str(answer.get("label")), str(seen)  # images of earlier releases answer every label as a text
    if not same_value(seen, now, vectors=golden.vectors):
        raise GoldenError(f"the golden input {place} is '{now}' at {where} and was '{seen}'", hint="passerelle status")


def _list(labels: object) -> list[object]:
    return list(labels) if isinstance(labels, list | tuple) else []


def _sent(value: object) -> object:
    """Return a golden value as an answer has it: null for a number that is none, or is infinite."""
    if isinstance(value, Mapping):
        return None if set(value) == {NUMBER} else {name: _sent(each) for name, each in value.items()}
    return [_sent(each) for each in value] if isinstance(value, list | tuple) else value


def _difference(top: Sequence[TopLabel], classes: Sequence[object], seen: Sequence[float]) -> float:
    by_class = dict(zip(map(str, classes), seen, strict=True))
    return max(abs(float(entry["probability"]) - by_class[str(entry["label"])]) for entry in top)
