"""Answers, feedback and texts of a day come to the right sums, in one batch or in several."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from datetime import date

import pyarrow as pa
import pytest

from passerelle.monitoring.daily_sample import sample_of
from passerelle.monitoring.drift.day_counts import DayCounts, Sums
from passerelle.monitoring.drift.day_tally import COLUMNS, DayTally
from passerelle.monitoring.drift.language import in_another_language, words_of
from passerelle.monitoring.drift.new_words import new_words
from passerelle.monitoring.drift.text_tally import MOST_TEXTS, TextTally
from passerelle.monitoring.prediction_log.arrow_rows import schema_of
from passerelle.monitoring.prediction_log.trees import PREDICTIONS

DAY = date(2026, 1, 31)
IDS = [f"0000{number}-0a1b2c3d" for number in range(6)]


def answers(**columns: list[object]) -> pa.RecordBatch:
    usual: dict[str, list[object]] = {
        "prediction_id": list(IDS), "registered_model": ["comments"] * 6, "model_version": ["3"] * 6,
        "label": ["Voirie", "Voirie", "Voirie", "Voirie", "Propreté", "Écoles"], "probability": [0.5, 0.6, 0.7, 0.8, 0.9, None],
        "review": [False, False, False, True, True, None], "words": [1, 2, 3, 4, 5, 6],
        "known_ngrams": [1.0, 0.9, 0.8, None, float("nan"), 0.7], "latency_ms": [1.0, 2.0, 4.0, 8.0, 16.0, 1_000.0],
        "batch": [False, False, False, False, False, True], "golden": [False, False, False, False, None, False],
        "record_digest": [hashlib.sha256(text.encode()).hexdigest() for text in "aaabc"] + [None],
    }  # fmt: skip
    return pa.RecordBatch.from_pydict(usual | columns, schema=schema_of(PREDICTIONS, COLUMNS))


def tallied(*batches: pa.RecordBatch, **options: object) -> DayCounts:
    tally = DayTally(DAY, **options)  # type: ignore[arg-type]
    for batch in batches:
        tally.add_answers(batch)
    assert tally.run_prefixes == {"0a1b2c3d"}
    return tally.counts()


def test_answers_are_added_up() -> None:
    counts = tallied(answers())
    assert (counts.answers, counts.labels, counts.versions) == (6, {"Propreté": 1, "Voirie": 4, "Écoles": 1}, {"3": 6})
    assert counts.sums["review"] == Sums(6, 2, 2)
    assert counts.sums["confidence"] == pytest.approx(Sums(5, 3.5, 2.55))
    assert counts.sums["unknown_ngrams"] == pytest.approx(Sums(4, 0.6, 0.14))
    assert counts.sums["duplicates"] == Sums(5, 2, 2)
    assert counts.most_repeated == 3
    assert counts.sums["latency"].mean == pytest.approx(math.log(4.0))
    assert counts.latency_ms == pytest.approx((4.0, 16.0), rel=0.05)


def test_answers_to_golden_inputs_do_not_count() -> None:
    counts = tallied(answers(golden=[False, False, False, False, True, True]))
    assert (counts.answers, counts.labels, counts.sums["confidence"].records) == (4, {"Voirie": 4}, 4)


def test_batches_come_to_the_same_as_one() -> None:
    whole = answers()
    one, many = tallied(whole), tallied(whole.slice(0, 2), whole.slice(2, 1), whole.slice(3))
    assert one.sums.keys() == many.sums.keys()
    assert {name: many.sums[name] == pytest.approx(each) for name, each in one.sums.items()} == dict.fromkeys(one.sums, True)
    assert replace(one, sums={}) == replace(many, sums={})


def test_feedback_on_the_sample_is_accuracy_and_the_rest_are_corrections() -> None:
    sample = sample_of(IDS, DAY, 2)
    others = [answer for answer in IDS if answer not in sample]
    labels = dict(zip(IDS, ["Voirie"] * 4 + ["Propreté", "Écoles"], strict=True))
    feedback = {sample[0]: labels[sample[0]], sample[1]: "Autre", others[0]: "Autre", others[1]: labels[others[1]], "elsewhere": "Voirie"}
    for batches in ([answers()], [answers().slice(0, 3), answers().slice(3)]):
        counts = tallied(*batches, feedback=feedback, sample_size=2)
        assert counts.sums["accuracy"] == Sums(2, 1, 1)
        assert counts.sums["corrections"] == Sums(4, 1, 1)


def test_a_log_without_digests_probabilities_and_n_grams_has_no_such_figure() -> None:
    counts = tallied(answers(probability=[None] * 6, known_ngrams=[None] * 6, record_digest=[None] * 6))
    assert {"confidence", "unknown_ngrams", "duplicates"} & counts.sums.keys() == set()


def test_words_count_in_redacted_texts_alone() -> None:
    tally = TextTally()
    tally.add("La grève, la grève ! Écrire à [e-mail] svp", redacted=True)
    tally.add("Nom secret Dupont", redacted=False)
    day = tally.added_to(DayCounts(DAY))
    assert day.texts == 2
    assert day.words == {"la": 1, "grève": 1, "écrire": 1, "svp": 1}
    assert tally.room == MOST_TEXTS - 2


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("Bonjour, il y a un trou dans la chaussée devant le numéro 12 de ma rue", False),
        ("Hello, there is a big hole in the road in front of our building", True),
        ("Hay un agujero muy grande enfrente del portal de nuestro edificio", True),
        ("C'è una grande buca nella strada davanti al nostro palazzo da tre mesi", True),
        ("trou chaussée", None),
    ],
)
def test_a_text_without_french_stop_words_is_in_another_language(text: str, other: bool | None) -> None:
    assert in_another_language(words_of(text)) is other


def test_words_that_came_up_are_frequent_and_new() -> None:
    before = {"voirie": 400, "trottoir": 300, "dans": 900, "grève": 4}
    now = {"voirie": 100, "trottoir": 80, "dans": 230, "grève": 60, "dupont": 4, "bus": 50}
    assert [(each.word, each.texts, each.before) for each in new_words(now, before)] == [("grève", 60, 4)]
    assert new_words(now, {}) == ()
