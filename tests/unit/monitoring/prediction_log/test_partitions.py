"""The log read back: what lies in lines and in Parquet, once, as today's columns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from passerelle.errors import BusyError, IntegrityError, OutsideError
from passerelle.monitoring.prediction_log.erasures import erasure_folder, erasure_list
from passerelle.monitoring.prediction_log.log_place import JoinedPlaces, LogFolder
from passerelle.monitoring.prediction_log.partitions import (
    ReadingCounts,
    days_between,
    logged_days,
    prediction_batches,
    read_feedback,
    read_table,
)
from passerelle.monitoring.prediction_log.record import SCHEMA
from passerelle.monitoring.prediction_log.trees import FEEDBACK, FEEDBACK_TEXTS, PREDICTIONS, TEXTS
from tests.unit.monitoring.prediction_log.log_files import MONDAY, TUESDAY, feedback, prediction, prediction_id, write_lines


def write_parquet(log: Path, name: str, rows: Sequence[dict[str, object]]) -> None:
    (log / name).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), log / name)


def test_lines_of_a_running_worker_and_closed_ones_are_read(tmp_path: Path) -> None:
    first, second = prediction(prediction_id(MONDAY)), prediction(prediction_id(TUESDAY), text="Un nid de poule")
    write_lines(tmp_path, "open/predictions-20261123T120000-7.jsonl", [second])
    write_lines(tmp_path, "closed/predictions-20261123T110000-7-1.jsonl", [first])
    place = LogFolder(tmp_path)
    assert logged_days(place) == (MONDAY, TUESDAY)
    assert read_table(place, PREDICTIONS, [MONDAY])["prediction_id"].to_pylist() == [first.prediction_id]
    assert read_table(place, PREDICTIONS, [MONDAY, TUESDAY]).num_rows == 2
    assert read_table(place, PREDICTIONS, [MONDAY, TUESDAY]).column_names == list(PREDICTIONS.columns)
    assert "fields" not in PREDICTIONS.columns
    assert read_table(place, TEXTS, [MONDAY, TUESDAY]).to_pylist() == [
        {"prediction_id": second.prediction_id, "redaction": 1, "fields": '{"text":"Un nid de poule"}', "schema": SCHEMA}
    ]


def test_the_columns_are_the_chosen_ones_in_their_order(tmp_path: Path) -> None:
    write_lines(tmp_path, "open/predictions-1-7.jsonl", [prediction()])
    assert read_table(LogFolder(tmp_path), PREDICTIONS, [MONDAY], ["review", "label"]).to_pylist() == [{"review": False, "label": "Voirie"}]


def test_an_answer_in_two_files_counts_once(tmp_path: Path) -> None:
    answer = prediction()
    write_lines(tmp_path, "closed/predictions-1-7-1.jsonl", [answer, prediction()])
    row = {name: value for name, value in answer._asdict().items() if name in PREDICTIONS.columns}
    write_parquet(tmp_path, f"{PREDICTIONS.partition(MONDAY)}/a.parquet", [row])
    write_parquet(tmp_path, f"{PREDICTIONS.partition(MONDAY)}/b.parquet", [row])
    counts = ReadingCounts()
    found = read_table(LogFolder(tmp_path), PREDICTIONS, [MONDAY], ["label"], counts=counts)
    assert (found.num_rows, counts.duplicates) == (2, 2)


def test_feedback_is_read_by_the_day_of_its_answer_and_kept_apart_by_person(tmp_path: Path) -> None:
    answer = prediction_id(MONDAY)
    one, other = feedback(answer, comment="C'est un arbre"), feedback(answer, by="agent-2", label="Voirie")
    write_lines(tmp_path, "closed/feedback-1-7-1.jsonl", [one, other, one])
    place = LogFolder(tmp_path)
    assert read_feedback(place, [TUESDAY]).num_rows == 0
    assert read_feedback(place, [MONDAY], ["by", "label"]).to_pylist() == [
        {"by": "agent-1", "label": "Propreté"},
        {"by": "agent-2", "label": "Voirie"},
    ]
    assert read_table(place, FEEDBACK_TEXTS, [MONDAY], ["comment", "fields"]).to_pylist() == [{"comment": "C'est un arbre", "fields": None}]
    assert "comment" not in FEEDBACK.columns


def test_parquet_of_an_older_and_of_a_newer_schema_is_read_as_todays_columns(tmp_path: Path) -> None:
    older = {"prediction_id": prediction_id(), "label": "Voirie", "characters": 12.0, "schema": 0}
    newer = {"prediction_id": prediction_id(), "label": "Propreté", "mood": "cross", "schema": 99}
    write_parquet(tmp_path, f"{PREDICTIONS.partition(MONDAY)}/older.parquet", [older])
    write_parquet(tmp_path, f"{PREDICTIONS.partition(MONDAY)}/newer.parquet", [newer])
    found = read_table(LogFolder(tmp_path), PREDICTIONS, [MONDAY], ["label", "characters", "probability", "schema"])
    assert found.to_pylist() == [
        {"label": "Propreté", "characters": None, "probability": None, "schema": 99},
        {"label": "Voirie", "characters": 12, "probability": None, "schema": 0},
    ]


def test_torn_and_rejected_lines_are_left_out_and_counted(tmp_path: Path) -> None:
    good = prediction()
    wrong = b'{"prediction_id": "5"}\nnot JSON\n[1]\n\n' + b'{"prediction_id": "' + good.prediction_id.encode() + b'", "words": "three"}\n'
    write_lines(tmp_path, "open/predictions-1-7.jsonl", [good], more=wrong + b'{"prediction_id": "0')
    counts = ReadingCounts()
    assert read_table(LogFolder(tmp_path), PREDICTIONS, [MONDAY], counts=counts).num_rows == 1
    assert (counts.torn, counts.rejected) == (1, 4)


def test_erased_answers_are_left_out_wherever_they_are(tmp_path: Path) -> None:
    gone, stays = prediction(text="Chez moi"), prediction(text="Ici")
    write_lines(tmp_path, "open/predictions-1-7.jsonl", [gone, stays])
    write_lines(tmp_path, "open/feedback-1-7.jsonl", [feedback(gone.prediction_id)])
    (tmp_path / erasure_folder(MONDAY)).mkdir(parents=True)
    (tmp_path / erasure_folder(MONDAY) / "1.json").write_bytes(erasure_list([gone.prediction_id]))
    place, counts = LogFolder(tmp_path), ReadingCounts()
    assert read_table(place, PREDICTIONS, [MONDAY], ["prediction_id"], counts=counts)["prediction_id"].to_pylist() == [stays.prediction_id]
    assert counts.erased == 1
    assert read_table(place, TEXTS, [MONDAY])["prediction_id"].to_pylist() == [stays.prediction_id]
    assert read_feedback(place, [MONDAY]).num_rows == 0


def test_a_damaged_list_of_erased_ids_is_an_error_and_not_an_empty_list(tmp_path: Path) -> None:
    write_lines(tmp_path, "open/predictions-1-7.jsonl", [prediction()])
    (tmp_path / erasure_folder(MONDAY)).mkdir(parents=True)
    (tmp_path / erasure_folder(MONDAY) / "1.json").write_bytes(b"[]")
    with pytest.raises(IntegrityError, match=r"1\.json"):
        read_table(LogFolder(tmp_path), PREDICTIONS, [MONDAY])


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / PREDICTIONS.partition(MONDAY)
    folder.mkdir(parents=True)
    (folder / "a.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(OutsideError, match=r"a\.parquet"):
        read_table(LogFolder(tmp_path), PREDICTIONS, [MONDAY])


class Moving(LogFolder):
    """A log whose collector moves a file while it is listed."""

    def __init__(self, path: Path, *, times: int) -> None:
        super().__init__(path)
        self.times = times

    def open(self, name: str) -> BinaryIO:
        if self.times:
            self.times -= 1
            write_lines(self.path, f"closed/predictions-1-7-{self.times}.jsonl", [])
            raise FileNotFoundError(name)
        return super().open(name)


def test_a_file_that_moves_on_while_it_is_listed_is_found_again(tmp_path: Path) -> None:
    write_lines(tmp_path, "open/predictions-1-7.jsonl", [prediction()])
    assert read_table(Moving(tmp_path, times=2), PREDICTIONS, [MONDAY]).num_rows == 1
    with pytest.raises(BusyError):
        read_table(Moving(tmp_path, times=10**6), PREDICTIONS, [MONDAY])


def test_two_places_are_read_as_one(tmp_path: Path) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    name = f"{PREDICTIONS.partition(MONDAY)}/a.parquet"
    for log in (near, far):
        write_parquet(log, name, [{"prediction_id": prediction_id(), "label": "Voirie"}])
    write_parquet(far, f"{TEXTS.partition(MONDAY)}/a.parquet", [{"prediction_id": prediction_id(), "fields": "{}"}])
    place = JoinedPlaces(LogFolder(near), LogFolder(far))
    assert read_table(place, PREDICTIONS, [MONDAY]).num_rows == 1
    assert read_table(place, TEXTS, [MONDAY]).num_rows == 1


def test_days_without_answers_and_a_log_that_is_not_there_are_empty(tmp_path: Path) -> None:
    place = LogFolder(tmp_path / "none")
    assert read_table(place, PREDICTIONS, days_between(MONDAY, TUESDAY)).num_rows == 0
    assert (list(prediction_batches(place, [MONDAY])), logged_days(place)) == ([], ())
    assert days_between(TUESDAY, MONDAY) == ()
    assert days_between(MONDAY, MONDAY + timedelta(days=2)) == (MONDAY, TUESDAY, MONDAY + timedelta(days=2))
