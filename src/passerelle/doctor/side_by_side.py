"""All probes at once, each for a bounded time, their diagnoses in the order of the table."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from passerelle.doctor.diagnosis import Diagnosis, Health, Probe, Surroundings
from passerelle.errors import PasserelleError


@dataclass(frozen=True)
class Subject:
    """A row of the table of probes.

    Attributes:
        name: Of what is said where the probe ends in an error, or not at all.
    """

    name: str
    probe: Probe


def examine(subjects: Sequence[Subject], surroundings: Surroundings, *, timeout_s: float) -> tuple[Diagnosis, ...]:
    """Return what every probe says; the slowest decides how long it takes, and `timeout_s` is the most.

    A probe that does not end is left behind in a thread that does not keep the process from ending.
    """
    answers = [_begun(subject, surroundings) for subject in subjects]
    deadline = time.monotonic() + timeout_s
    found: list[Diagnosis] = []
    for subject, answer in zip(subjects, answers, strict=True):
        try:
            found += answer.result(max(0.0, deadline - time.monotonic()))
        except PasserelleError as error:
            found.append(Diagnosis(subject.name, Health.FAULT, error.message, error.hint))
        except TimeoutError:
            message = f"no end within {timeout_s:g} s"
            found.append(Diagnosis(subject.name, Health.FAULT, message, hint=f"passerelle doctor --timeout {4 * timeout_s:.0f}"))
    return tuple(found)


def _begun(subject: Subject, surroundings: Surroundings) -> Future[list[Diagnosis]]:
    answer: Future[list[Diagnosis]] = Future()
    # Settings that a probe reads come from the same variables as those of the caller.
    context = contextvars.copy_context()

    def run() -> None:
        try:
            answer.set_result(context.run(lambda: list(subject.probe(surroundings))))
        except BaseException as error:  # noqa: BLE001 - raised again where the answer is waited for
            answer.set_exception(error)

    threading.Thread(target=run, name=subject.name, daemon=True).start()
    return answer
