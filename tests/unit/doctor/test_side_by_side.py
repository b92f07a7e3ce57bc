"""Probes run side by side, each for a bounded time, and what they say is shown in the order of the table."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from passerelle.doctor.diagnosis import Diagnosis, Health, Surroundings, fine
from passerelle.doctor.side_by_side import Subject, examine
from passerelle.doctor.subjects import SUBJECTS
from passerelle.errors import OutsideError
from tests.unit.doctor.surroundings import surroundings


@pytest.fixture
def here(tmp_path: Path) -> Surroundings:
    return surroundings(tmp_path)


def test_one_that_hangs_costs_the_bound_and_hides_no_other(here: Surroundings) -> None:
    never = threading.Event()

    def hangs(_: Surroundings) -> Iterator[Diagnosis]:
        never.wait()
        yield fine("never", "never")

    def answers(_: Surroundings) -> Iterator[Diagnosis]:
        yield fine("second", "it answers")

    found = examine([Subject("first", hangs), Subject("second", answers), Subject("third", hangs)], here, timeout_s=0.2)
    never.set()
    assert [(each.subject, each.health) for each in found] == [
        ("first", Health.FAULT),
        ("second", Health.FINE),
        ("third", Health.FAULT),
    ]
    assert found[0].message == "no end within 0.2 s"
    assert found[0].hint == "passerelle doctor --timeout 1"


def test_an_error_is_a_fault_with_its_hint_and_what_was_found_before_it_stays(here: Surroundings) -> None:
    def fails(_: Surroundings) -> Iterator[Diagnosis]:
        yield fine("S3 clock", "it is right")
        raise OutsideError("it is off", hint="passerelle up")

    found = examine([Subject("S3", fails)], here, timeout_s=5)
    assert found == (fine("S3 clock", "it is right"), Diagnosis("S3", Health.FAULT, "it is off", "passerelle up"))


def test_a_folder_that_may_not_be_read_hides_no_other_probe(here: Surroundings) -> None:
    def refused(_: Surroundings) -> Iterator[Diagnosis]:
        raise PermissionError(13, "Permission denied", "/root/state")

    found = examine([Subject("disk", refused), Subject("S3", lambda _: [fine("S3", "it answers")])], here, timeout_s=5)
    assert found == (Diagnosis("disk", Health.FAULT, "/root/state: Permission denied"), fine("S3", "it answers"))


def test_a_mistake_of_a_probe_is_not_hidden(here: Surroundings) -> None:
    def wrong(_: Surroundings) -> Iterator[Diagnosis]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        examine([Subject("S3", wrong)], here, timeout_s=5)


def test_each_subject_has_a_name_of_its_own() -> None:
    names = [subject.name for subject in SUBJECTS]
    assert len(set(names)) == len(names)
    assert all(len(name) < 20 for name in names)
