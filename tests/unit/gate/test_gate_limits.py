"""The gate's checks at their very limits: the value that just passes next to the one that just does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from passerelle.gate import checks
from passerelle.gate.finding import Finding
from passerelle.gate.scores import Scores
from passerelle.model.record import Column
from tests.unit.gate.findings import rules, said, told
from tests.unit.gate.verdicts import CLASSES, contender, evidence, scores

TRUTH = [0] * 6 + [1] * 5 + [2] * 4
RIGHT = contender(2, scores(TRUTH, TRUTH))


@pytest.mark.parametrize(
    ("leaked", "rows", "asked", "expected"),
    [
        (0, 15, 15, (True, "0 / 15", "0", "")),
        (0, 14, 15, (False, "0 / 14", "0", "only 14 held-out rows are left, 15 are asked for")),
        (1, 14, 15, (False, "1 / 14", "0", "1 of 14 held-out rows were learned from: the figures say nothing")),
    ],
)
def test_leakage(leaked: int, rows: int, asked: int, expected: tuple[Any, ...]) -> None:
    of = evidence(RIGHT, leaked=leaked, held_out=rows)
    assert told(checks.leakage(of, rules(held_out={"rows": asked}))) == expected


def labelled(texts: list[str], truth: list[int], **columns: Any) -> Finding:
    of = evidence(contender(2, scores(truth, truth), **columns), records=pd.DataFrame({"text": texts}))
    return checks.label_in_text(of)


def test_the_label_in_the_text_counts_from_six_in_ten_on() -> None:
    truth = [1] * 10
    assert told(labelled(["rendez-vous"] * 6 + ["x"] * 4, truth)) == (True, "60%", "≤ 60%", "")
    passed, value, _, message = told(labelled(["mon RENDEZ vous !"] * 7 + ["x"] * 3, truth))
    assert (passed, value) == (False, "70%")
    assert message.startswith("70% of the records hold the words of their own label, 0% those of another")


def test_the_label_counts_only_where_it_is_four_times_as_frequent_as_by_chance() -> None:
    # Of ten records, eight hold their own label. The labels of the others are 20 pairs of record and label.
    truth = [1] * 10
    own = ["rendez vous"] * 8 + ["x"] * 2
    # 4 of the 20 are a chance of 0.2, and 0.8 is not more than four times that; 3 are 0.15.
    assert labelled([f"{text} pb de suivi delai" if place < 4 else text for place, text in enumerate(own)], truth).passed
    assert not labelled([f"{text} pb de suivi delai" if place < 3 else text for place, text in enumerate(own)], truth).passed


def test_part_of_a_word_is_no_label_and_one_label_alone_has_no_chance() -> None:
    assert labelled(["xrendez-vous rendez-vousx"] * 10, [1] * 10).passed
    single = Scores(np.array(["a"] * 4), np.array(["a"] * 4), None, ("a",), 1.0, 1.0)
    found = checks.label_in_text(evidence(contender(2, single), records=pd.DataFrame({"text": ["a b"] * 4})))
    assert (found.passed, found.value) == (False, "100%")
    assert "0% those of another" in found.message


def test_records_without_text_hold_no_label() -> None:
    columns = (Column("size", "double"), Column("gone", "string"))
    found = checks.label_in_text(evidence(contender(2, RIGHT.scores, columns=columns), records=pd.DataFrame({"size": [1.0] * 15})))
    assert told(found) == (True, "—", "—", "")


def test_the_signature_is_told_with_what_may_be_left_out() -> None:
    theirs = (Column("text", "string", False), Column("size", "double"))
    found = checks.signature(evidence(RIGHT, contender(1, RIGHT.scores), champion_columns=theirs))
    assert told(found)[:3] == (False, "text: string", "text: string?, size: double")
    assert told(checks.signature(evidence(RIGHT))) == (True, "text: string", "text: string", "")


def test_labels_that_are_missing_or_new() -> None:
    fewer = replace(RIGHT.scores, classes=CLASSES[:2], probabilities=None)
    more = replace(RIGHT.scores, classes=(*CLASSES, "Zoo", "Autre"), probabilities=None)
    old = contender(1, RIGHT.scores)
    assert told(checks.classes(evidence(contender(2, fewer), old))) == (False, "2", "3", f"the set of labels lacks {CLASSES[2]}")
    assert told(checks.classes(evidence(contender(2, more), old))) == (False, "5", "3", "the set of labels adds Autre, Zoo")
    assert told(checks.classes(evidence(contender(2, more)))) == (True, "5", "3", "")
    assert told(checks.classes(evidence(contender(2, fewer))))[0] is False


@pytest.mark.parametrize(
    ("made", "there", "message"),
    [
        ({"numpy": "2.4.6"}, {"numpy": "2.4.9"}, ""),
        ({"numpy": "2.4.6"}, {"numpy": "2.5.6"}, "made with numpy 2.4.6, the serving image has 2.5.6"),
        ({"numpy": "2.4.6"}, {"numpy": "3.4.6"}, "made with numpy 2.4.6, the serving image has 3.4.6"),
        ({"skops": "0.1", "scipy": "1.1"}, {"skops": "0.1"}, "the version of scipy in the serving image is not known"),
        ({"pandas": "1"}, {"pandas": "2"}, "the model does not say which versions of its libraries it was made with"),
        ({"numpy": "2"}, {"numpy": ""}, "the version of numpy in the serving image is not known"),
    ],
)
def test_libraries_may_differ_in_their_last_number(made: dict[str, str], there: dict[str, str], message: str) -> None:
    found = checks.libraries(evidence(contender(2, RIGHT.scores, libraries=made), serving=there))
    assert (found.passed, found.message) == (not message, message)


def test_libraries_are_listed() -> None:
    of = evidence(contender(2, RIGHT.scores, libraries={"numpy": "2.4.6", "scikit-learn": "1.9"}), serving={})
    assert (checks.libraries(of).value, checks.libraries(of).limit) == ("scikit-learn 1.9, numpy 2.4.6", "—")


@pytest.mark.parametrize(("ours", "passed"), [(50, True), (49, False)])
def test_half_of_the_champions_rows_are_enough(ours: int, passed: bool) -> None:
    of = evidence(contender(2, RIGHT.scores, train_hashes=frozenset(map(str, range(ours)))), contender(1, RIGHT.scores))
    message = "" if passed else "it learned from 49 rows, the champion from 100: at least 50 are asked for"
    assert told(checks.training_rows(of, rules())) == (passed, str(ours), "≥ 50", message)
    assert told(checks.training_rows(of, rules(champion={"share_of_rows": 0.0})))[:3] == (True, str(ours), "≥ 0")


def test_rows_are_not_compared_without_a_champion_and_refused_where_it_does_not_say() -> None:
    assert told(checks.training_rows(evidence(RIGHT), rules())) == (True, "100", "≥ 0", "")
    silent = evidence(contender(2, RIGHT.scores, train_hashes=None), contender(1, RIGHT.scores, train_hashes=None))
    assert told(checks.training_rows(silent, rules()))[:3] == (False, "0", "—")
    assert "version 1 " in checks.training_rows(silent, rules()).message
    assert "version 7 " in checks.training_rows(evidence(RIGHT, champion_says=False, champion_version=7), rules()).message
    assert "version 0 " in checks.training_rows(evidence(RIGHT, champion_says=False), rules()).message


def test_a_class_of_ten_rows_must_be_given_and_one_of_nine_need_not() -> None:
    assert told(checks.never_predicted(said([0] * 6 + [1] * 9, [0] * 15))) == (True, "0", "0", "")
    assert told(checks.never_predicted(said([0] * 6 + [1] * 10, [0] * 16))) == (False, "1", "0", f"never predicted: {CLASSES[1]}")
    assert checks.never_predicted(said([0] * 6 + [1] * 10, [0] * 6 + [1] + [0] * 9)).passed


@pytest.mark.parametrize(
    ("truth", "given", "swapped"),
    [
        ([0] * 3 + [1] * 3, [1] * 3 + [0] * 3, True),
        ([0] * 2 + [1] * 3, [1] * 2 + [0] * 3, False),
        ([0] * 3 + [1] * 2, [1] * 3 + [0] * 2, False),
        ([0] * 4 + [1] * 4, [1] * 3 + [0] + [0] * 3 + [1], True),
        ([0] * 4 + [1] * 4, [1] * 2 + [0] * 2 + [0] * 4, False),
        ([0] * 4 + [1] * 4, [1] * 4 + [0] * 2 + [1] * 2, False),
        ([0] * 3 + [1] * 3 + [2] * 3, [1] * 3 + [2] * 3 + [0] * 3, False),
        ([0] * 4 + [1] * 4, [1] * 4 + [1] * 4, False),
    ],
)
def test_two_classes_are_swapped_where_most_rows_of_both_get_the_other(truth: list[int], given: list[int], swapped: bool) -> None:
    found = checks.swapped(said(truth, given))
    message = f"swapped: '{CLASSES[0]}' ↔ '{CLASSES[1]}' get each other's label in most rows" if swapped else ""
    assert told(found) == (not swapped, str(int(swapped)), "0", message)
