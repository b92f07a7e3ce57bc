"""Prediction ids: UUIDv7 that name the day and the run."""

from __future__ import annotations

import uuid
from datetime import date

import pytest

from passerelle.model.prediction_id import day_of, is_prediction_id, new_prediction_id, run_prefix_of

NOON = 1_790_078_400.0  # 2026-09-22T12:00:00Z


def test_an_id_is_a_uuid_of_version_7_that_names_day_and_run() -> None:
    prediction_id = new_prediction_id("9f86d081", NOON)
    assert (uuid.UUID(prediction_id).version, uuid.UUID(prediction_id).variant) == (7, uuid.RFC_4122)
    assert is_prediction_id(prediction_id)
    assert (day_of(prediction_id), run_prefix_of(prediction_id)) == (date(2026, 9, 22), "9f86d081")


def test_ids_are_ordered_by_time_and_differ_within_a_millisecond() -> None:
    ids = [new_prediction_id("00000000", NOON) for _ in range(1_000)]
    assert len(set(ids)) == len(ids)
    assert max(ids) < new_prediction_id("00000000", NOON + 0.001)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "9f86d081884c7d659a2feaa0c55ad015",
        "9f86d081-884c-4d65-9a2f-eaa0c55ad015",
        "9F86D081-884C-7D65-9A2F-EAA0C55AD015",
        "9f86d081-884c-7d65",
        "ffffffff-ffff-7d65-9a2f-eaa0c55ad015",
    ],
)
def test_other_texts_are_no_prediction_id(text: str) -> None:
    assert not is_prediction_id(text)
