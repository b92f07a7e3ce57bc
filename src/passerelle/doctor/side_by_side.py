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
    running = [_begun(subject, surroundings) for subject in subjects]
    deadline = time.monotonic() + timeout_s
    found: list[Diagnosis] = []
    for subject, (so_far, end) in zip(subjects, running, strict=True):
        try:
            end.result(max(0.0, deadline - time.monotonic()))
            found += so_far
        except PasserelleError as error:
            found += (*so_far, Diagnosis(subject.name, Health.FAULT, error.message, error.hint))
        except TimeoutError:
            message, longer = f"no end within {timeout_s:g} s", f"passerelle doctor --timeout {4 * timeout_s:.0f}"
            found += (*so_far, Diagnosis(subject.name, Health.FAULT, message, hint=longer))
        except OSError as error:
            # A folder or a program that this user may not touch is something to find, and must not hide what the others found.
            where = f"{error.filename}: " if error.filename else ""
            found += (*so_far, Diagnosis(subject.name, Health.FAULT, f"{where}{error.strerror or type(error).__name__}"))
    return tuple(found)


def _begun(subject: Subject, surroundings: Surroundings) -> tuple[list[Diagnosis], Future[None]]:
    so_far: list[Diagnosis] = []
    end: Future[None] = Future()
    # Settings that a probe reads come from the same variables as those of the caller.
    context = contextvars.copy_context()

    def run() -> None:
        try:
            context.run(lambda: so_far.extend(subject.probe(surroundings)))
            end.set_result(None)
        except BaseException as error:  # noqa: BLE001 - raised again where the end is waited for
            end.set_exception(error)

    threading.Thread(target=run, name=subject.name, daemon=True).start()
    return so_far, end
