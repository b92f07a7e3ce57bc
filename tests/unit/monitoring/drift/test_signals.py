"""The result of a day: what is an alarm, what is too little to tell, and what is not known."""

from __future__ import annotations

import pytest

from passerelle.monitoring.drift.signals import HISTORY
from passerelle.monitoring.drift.training_rows import TrainingRows
from tests.unit.monitoring.drift.days import LAST, day, found, history


def test_days_like_those_before_are_quiet() -> None:
    result = found(history())
    assert (result.state, result.alarms, result.window, result.window_answers, result.silent_days) == ("quiet", (), 7, 700, 0)
    assert result.estimated_accuracy == pytest.approx(0.7)
    assert result.calibration_error == 0.05
    assert result.versions == {"3": 700}
    assert [point.answers for point in result.points] == [100] * 35


def test_a_doubled_label_is_an_alarm_against_both_references() -> None:
    changed = {"Voirie": 40, "Propreté": 50, "<b>Écoles</b>": 10}
    result = found(history([day(back, changed) for back in range(7, -1, -1)]))
    assert result.state == "alarm"
    assert {(each.label, each.against) for each in result.alarms} == {
        (label, against) for label in ("Voirie", "Propreté") for against in ("month", "training")
    }


def test_the_criteria_decide_whether_a_difference_from_the_training_is_an_alarm() -> None:
    other = TrainingRows(3, 400, {"Voirie": 100, "Propreté": 300})
    assert {each.against for each in found(history(), other).alarms} == {"training"}
    quiet = found(history(), other, {"training": False})
    assert (quiet.state, any(each.counts for each in quiet.signals)) == ("quiet", True)


def test_few_answers_are_too_few_to_tell() -> None:
    result = found(history(labels={"Voirie": 8, "Propreté": 4}))
    assert (result.state, result.window, result.window_answers, result.least) == ("too_few", 0, 336, 500)


def test_a_day_without_answers_is_no_alarm_and_several_are() -> None:
    one, three = (found(history([day(back, {}) for back in range(silent - 1, -1, -1)])) for silent in (1, 3))
    assert (one.state, one.silent_days, one.silence) == ("no_answers", 1, False)
    assert (three.state, three.silent_days, three.silence) == ("alarm", 3, True)


def test_a_log_without_any_answer_is_no_alarm() -> None:
    result = found([day(back, {}) for back in range(HISTORY - 1, -1, -1)])
    assert (result.state, result.signals, result.silence, result.day) == ("no_answers", (), False, LAST)


def test_what_is_not_known_is_named() -> None:
    assert set(found(history(), None).unknown) == {"held_out", "ngrams", "texts", "sample"}
    result = found([*(day(back, {}) for back in range(HISTORY - 1, 6, -1)), *(day(back) for back in range(6, -1, -1))], None)
    assert "month" in result.unknown
    assert result.state == "quiet"


def test_a_model_without_labels_has_no_confidence_to_miss() -> None:
    result = found([day(back, {"": 400}) for back in range(HISTORY - 1, -1, -1)], None)
    assert "task" in result.unknown
    assert not {"probabilities", "sample"} & set(result.unknown)
    assert "task" not in found(history(), None).unknown


def test_a_new_version_is_named_for_as_long_as_the_month_before_holds_another() -> None:
    assert found(history([day(back, version="4") for back in (1, 0)])).new_version_since == day(1).day
    assert found(history()).new_version_since is None


def test_accuracy_below_the_held_out_rows_is_an_alarm_whatever_else_is_compared_with_the_training() -> None:
    accurate = TrainingRows(3, 400, {}, {"accuracy": (0.85, 0.1275)})
    days = [day(back, accuracy=0.6) for back in range(HISTORY - 1, -1, -1)]
    (alarm,) = found(days, accurate, {"training": False}).alarms
    assert (alarm.measure, alarm.against) == ("accuracy", "training")
    assert alarm.value == pytest.approx(0.6)
