"""Corrections exported, imported and sampled, on a real log in a folder."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from passerelle.errors import DataError, NotFoundError, SeveralModelsError, UsageError
from passerelle.monitoring.daily_sample import sample_of
from passerelle.monitoring.prediction_log.digest import record_digest
from passerelle.monitoring.prediction_log.erasures import erasure_folder, erasure_list
from passerelle.monitoring.prediction_log.exports import registered_exports
from passerelle.monitoring.prediction_log.parquet_files import RowsTakenOut
from passerelle.monitoring.prediction_log.record import LoggedFeedback
from passerelle.stages import collect, erase, feedback_export, feedback_import, feedback_sample
from passerelle.stages.context import Context, context_of
from passerelle.stages.log_location import log_location
from passerelle.training.dataset import read_data
from passerelle.training.feedback_table import ids_digest
from tests.unit.monitoring.prediction_log.log_files import MONDAY, TUESDAY, prediction, prediction_id, write_lines

LABELS = ("Voirie", "Propreté")


class Log:
    """A prediction log of Monday, and a context whose settings name it."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder / "log"
        self.output = folder / "corrections.csv"
        self.variables = {"PASSERELLE_PREDICTION_LOG": str(self.folder), "PASSERELLE_STATE_DIR": str(folder / "state"), **variables}
        self.ids = [prediction_id(MONDAY, hour) for hour in range(10)]

    @property
    def context(self) -> Context:
        return context_of(self.variables)

    def answer(self, *numbers: int, text: str | None = "Trou dans la rue", key: bytes = b"") -> None:
        digest = record_digest({"text": "Trou dans la rue"}, key)
        answers = [prediction(self.ids[number], text=text and f"{text} {number}")._replace(record_digest=digest) for number in numbers]
        write_lines(self.folder, f"closed/predictions-1-7-{len(numbers)}{numbers[0]}.jsonl", answers)

    def say(self, *given: LoggedFeedback) -> None:
        names = len(list(self.folder.glob("closed/*")))
        write_lines(self.folder, f"closed/feedback-1-7-{names}.jsonl", given)

    def rows(self) -> list[dict[str, str]]:
        with self.output.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def said(
    answer: str, label: str, *, by: str = "agent-1", minute: int = 0, record: str | None = None, digest: str | None = None
) -> LoggedFeedback:
    at = f"2026-11-24T08:{minute:02d}:00.000+00:00"
    return LoggedFeedback(answer, at, "comments", "portal", label, by, fields={"text": record} if record else None, record_digest=digest)


def test_corrected_answers_become_a_table_in_which_the_latest_label_counts(log: Log) -> None:
    log.answer(0, 1, 2)
    log.say(said(log.ids[0], "Propreté"), said(log.ids[0], "Espaces verts", by="agent-2", minute=5), said(log.ids[1], "Voirie"))
    done = feedback_export.run(log.context, log.output)
    assert [(row["text"], row["label"], row["prediction_id"], row["source"]) for row in log.rows()] == [
        ("Trou dans la rue 0", "Espaces verts", log.ids[0], "log"),
        ("Trou dans la rue 1", "Voirie", log.ids[1], "log"),
    ]
    assert (done.rows, done.changed, done.feedback, done.unknown, done.created) == (2, 1, 3, 0, True)


def test_a_second_export_changes_nothing_and_is_registered_once(log: Log) -> None:
    log.answer(0, 1)
    log.say(said(log.ids[0], "Propreté"), said(log.ids[1], "Voirie"))
    feedback_export.run(log.context, log.output)
    assert not feedback_export.run(log.context, log.output).created
    (register,) = registered_exports(log_location(log.context).place)
    assert (register.path, register.by) == (log.output.resolve(), log.context.author)
    assert log.output.stat().st_mode & 0o077 == 0


def test_what_cannot_be_exported_is_left_out_and_counted(log: Log) -> None:
    log.answer(0)
    log.answer(1, text=None)
    log.answer(2)
    log.say(*(said(log.ids[number], "Propreté") for number in range(4)))
    erased = log.folder / erasure_folder(MONDAY) / "list.json"
    erased.parent.mkdir(parents=True)
    erased.write_bytes(erasure_list([log.ids[2]]))
    done = feedback_export.run(log.context, log.output)
    assert [row["prediction_id"] for row in log.rows()] == [log.ids[0]]
    assert (done.without_text, done.unknown, done.erased) == (1, 1, 1)


def test_a_record_that_was_sent_again_counts_where_it_is_the_one_that_was_answered(log: Log) -> None:
    log.answer(0, 1, text=None, key=b"k")
    right = record_digest({"text": "Trou dans la rue"}, b"k")
    log.say(
        said(log.ids[0], "Propreté", record="Trou dans la rue", digest=right),
        said(log.ids[1], "Propreté", record="un autre", digest=record_digest({"text": "un autre"}, b"k")),
    )
    done = feedback_export.run(log.context, log.output)
    assert [(row["text"], row["source"]) for row in log.rows()] == [("Trou dans la rue", "feedback")]
    assert (done.rows, done.without_text, done.other_records) == (1, 1, 1)


def test_days_limit_the_export_and_nothing_to_export_is_said(log: Log) -> None:
    log.answer(0)
    log.say(said(log.ids[0], "Propreté"))
    with pytest.raises(NotFoundError, match="no answer of these days has feedback"):
        feedback_export.run(log.context, log.output, since=TUESDAY)
    assert feedback_export.run(log.context, log.output, since=MONDAY, until=TUESDAY).rows == 1
    with pytest.raises(NotFoundError):
        feedback_export.run(Log(log.folder).context, log.folder / "other.csv")


def test_a_file_that_is_no_unchanged_export_is_not_replaced(log: Log) -> None:
    log.answer(0)
    log.say(said(log.ids[0], "Propreté"))
    feedback_export.run(log.context, log.output)
    log.say(said(log.ids[0], "Voirie", minute=9))
    assert feedback_export.run(log.context, log.output).created
    log.output.write_text(log.output.read_text() + "x,y,z,w\n")
    with pytest.raises(UsageError, match="not an unchanged export"):
        feedback_export.run(log.context, log.output)
    with pytest.raises(UsageError, match="neither"):
        feedback_export.run(log.context, log.output.with_suffix(".xlsx"))


def test_training_names_an_export_only_while_the_file_is_unchanged(log: Log) -> None:
    log.answer(0, 1)
    log.say(said(log.ids[0], "Propreté"), said(log.ids[1], "Voirie"))
    for output in (log.output, log.output.with_suffix(".parquet")):
        feedback_export.run(log.context, output)
        data = read_data(output, text_column="text", label_column="label")
        assert data.export is not None
        assert data.export.ids_digest == ids_digest(log.ids[:2])
    log.output.write_text(log.output.read_text().replace("Propreté", "Voirie 2"))
    data = read_data(log.output, text_column="text", label_column="label")
    assert data.export is None
    assert any("not as it was exported" in note for note in data.notes)


def table(log: Log, rows: Sequence[tuple[str, ...]], *, header: str = "prediction_id,label,comment", encoding: str = "utf-8") -> Path:
    path = log.folder.parent / "agent.csv"
    path.write_bytes("\n".join([header, *(",".join(row) for row in rows)]).encode(encoding))
    return path


@pytest.mark.parametrize(
    ("separator", "encoding"),
    [(",", "utf-8"), (";", "cp1252"), ("\t", "utf-16"), (",", "utf-8-sig")],
    ids=["plain", "windows", "utf-16", "mark"],
)
def test_corrections_are_imported_from_each_form_that_training_reads(log: Log, separator: str, encoding: str) -> None:
    log.answer(0, 1)
    log.say(said(log.ids[0], "Propreté", by="agent-9"))
    path = log.folder.parent / "agent.csv"
    lines = ["prediction_id,label", f"{log.ids[0]},Propreté", f"{log.ids[1]},Voirie", f"{log.ids[2]},", f"{log.ids[3]},Voirie"]
    path.write_bytes("\n".join(lines).replace(",", separator).encode(encoding))
    assert feedback_import.run(log.context, path, by="agent-1", dry_run=True).new == 3
    done = feedback_import.run(log.context, path, by="agent-1")
    assert (done.rows, done.new, done.repeated, done.unknown, done.blank) == (3, 3, 0, 1, 1)
    again = feedback_import.run(log.context, path, by="agent-1")
    assert (again.new, again.repeated) == (0, 3)
    assert {row["label"] for row in _exported(log)} == {"Propreté", "Voirie"}


def _exported(log: Log) -> list[dict[str, str]]:
    feedback_export.run(log.context, log.output)
    return log.rows()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("IDS0", "Voirie", ""), ("secret", "Voirie", "")], "1 rows have no prediction id as answers have it: 3 "),
        ([("IDS0", "Secret", "")], "labels that no answer of the same model in the log has"),
        ([("IDS0", "Voirie", ""), ("IDS0", "Propreté", "")], "2 rows give the same answer different labels: 2, 3 "),
        ([("IDS0", "Voirie", "x" * 2_001)], "1 rows have a comment of more than 2000 characters: 2 "),
        ([("LATE", "Voirie", "")], "1 rows have the id of a day that has not come yet: 2 "),
    ],
)
def test_a_wrong_row_is_named_by_its_number_and_nothing_is_imported(log: Log, rows: list[tuple[str, str, str]], message: str) -> None:
    log.answer(0, 1)
    log.say(said(log.ids[0], "Propreté", by="agent-9"))
    before = sorted(log.folder.rglob("*.jsonl"))
    replaced = {"IDS0": log.ids[0], "LATE": prediction_id(MONDAY + timedelta(days=40_000))}
    path = table(log, [(replaced.get(first, first), *rest) for first, *rest in rows])
    with pytest.raises(DataError) as refusal:
        feedback_import.run(log.context, path, by="agent-1")
    assert message in refusal.value.message
    assert "secret" not in refusal.value.message
    assert sorted(log.folder.rglob("*.jsonl")) == before


def test_a_new_label_is_taken_when_it_is_named(log: Log) -> None:
    log.answer(0)
    path = table(log, [(log.ids[0], "Nouveau", "")])
    assert feedback_import.run(log.context, path, by="agent-1", new_labels=("Nouveau",)).new == 1


def test_comments_are_kept_under_the_rules_of_the_log(tmp_path: Path) -> None:
    log = Log(tmp_path, PASSERELLE_LOG_TEXT="redacted")
    log.answer(0)
    feedback_import.run(log.context, table(log, [(log.ids[0], "Voirie", "voir M. Dupont")]), by="agent-1")
    (line,) = [json.loads(path.read_text()) for path in log.folder.glob("closed/feedback-*.jsonl")]
    assert (line["comment"], line["by"], line["redaction"]) == ("voir M. [nom]", "agent-1", 1)


def test_the_sample_of_a_day_is_the_same_each_time_and_can_be_filled_in_and_imported(log: Log) -> None:
    log.answer(*range(10))
    path = log.folder.parent / "sample.csv"
    done = feedback_sample.run(log.context, MONDAY, count=3, output=path)
    assert [answer.prediction_id for answer in done.sample] == list(sample_of(log.ids, MONDAY, 3))
    assert (done.answers, [answer.answered for answer in done.sample]) == (10, ["Voirie"] * 3)
    filled = pd.read_csv(path, dtype=str, keep_default_na=False)
    filled["label"] = filled["answered"]
    filled.to_csv(path, index=False)
    assert feedback_import.run(log.context, path, by="agent-1").new == 3
    with pytest.raises(UsageError, match="is there already"):
        feedback_sample.run(log.context, MONDAY, output=path)
    with pytest.raises(NotFoundError):
        feedback_sample.run(log.context, TUESDAY)


def test_answers_to_golden_inputs_are_not_in_the_sample(log: Log) -> None:
    answers = [prediction(each)._replace(golden=number < 8) for number, each in enumerate(log.ids)]
    write_lines(log.folder, "closed/predictions-1-7-0.jsonl", answers)
    done = feedback_sample.run(log.context, MONDAY, count=5)
    assert {answer.prediction_id for answer in done.sample} == set(log.ids[8:])


def test_exports_of_several_models_are_not_mixed(log: Log) -> None:
    log.answer(0)
    write_lines(log.folder, "closed/predictions-2-7-1.jsonl", [prediction(log.ids[1], text="x")._replace(registered_model="mails")])
    log.say(said(log.ids[0], "Propreté"), said(log.ids[1], "Voirie"))
    with pytest.raises(SeveralModelsError, match="several models have feedback: comments, mails"):
        feedback_export.run(log.context, log.output)
    assert feedback_export.run(log.context, log.output, registered_model="mails").rows == 1


def test_a_sample_is_of_one_model(log: Log) -> None:
    log.answer(0, 1, 2)
    write_lines(log.folder, "closed/predictions-2-7-1.jsonl", [prediction(log.ids[3])._replace(registered_model="mails")])
    with pytest.raises(SeveralModelsError, match="several models answered on 2026-11-23: comments, mails"):
        feedback_sample.run(log.context, MONDAY)
    assert [each.prediction_id for each in feedback_sample.run(log.context, MONDAY, registered_model="mails").sample] == [log.ids[3]]
    assert feedback_sample.run(log.context, MONDAY, registered_model="comments").answers == 3
    with pytest.raises(NotFoundError, match="no answer of 2026-11-23 by 'other'"):
        feedback_sample.run(log.context, MONDAY, registered_model="other")


def test_a_label_is_one_of_the_model_that_answered(log: Log) -> None:
    log.answer(0)
    mail = prediction(log.ids[1])._replace(registered_model="mails", label="Plainte", second_label="Merci")
    write_lines(log.folder, "closed/predictions-2-7-1.jsonl", [mail])
    with pytest.raises(DataError, match="labels that no answer of the same model in the log has: 'Plainte'"):
        feedback_import.run(log.context, table(log, [(log.ids[0], "Plainte", "")]), by="agent-1", dry_run=True)
    both = table(log, [(log.ids[0], "Voirie", ""), (log.ids[1], "Merci", "")])
    assert feedback_import.run(log.context, both, by="agent-1", dry_run=True).new == 2
    with pytest.raises(DataError, match="1 of 2 rows are about answers of 'comments', not of 'mails'; nothing was imported"):
        feedback_import.run(log.context, both, by="agent-1", registered_model="mails")


def test_collected_feedback_is_read_too(log: Log) -> None:
    log.answer(0)
    log.say(said(log.ids[0], "Propreté"))

    collect.run(log.context)
    assert [row["label"] for row in _exported(log)] == ["Propreté"]


def test_an_erasure_finds_an_export_and_training_still_names_what_is_left_of_it(log: Log) -> None:
    log.answer(0, 1, 2)
    log.say(*(said(log.ids[number], LABELS[number % 2]) for number in range(3)))
    for output in (log.output, log.output.with_suffix(".parquet")):
        feedback_export.run(log.context, output)
    location = log_location(log.context)
    erase._taken_out_of_exports(location, frozenset({log.ids[2]}), RowsTakenOut(set()), dry_run=False)
    for output in (log.output, log.output.with_suffix(".parquet")):
        data = read_data(output, text_column="text", label_column="label")
        assert data.export is not None
        assert (data.export.rows, data.export.ids_digest) == (2, ids_digest(log.ids[:2]))
