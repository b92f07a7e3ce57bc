"""Scores, rows, slices and what the page shows of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from passerelle.gate import report
from passerelle.gate.finding import Finding
from passerelle.gate.messages import Message, message_text
from passerelle.gate.row_hashes import normalise, row_hashes
from passerelle.gate.scores import Scores
from passerelle.gate.slices import slices_of
from tests.unit.gate.verdicts import CLASSES, contender, evidence, scores, verdict

TRUTH = [0] * 6 + [1] * 5 + [2] * 4
RIGHT = contender(2, scores(TRUTH, TRUTH))


def test_a_bin_of_probabilities_tells_how_often_it_is_right() -> None:
    probabilities = np.array([[0.95, 0.05], [1.0, 0.0], [0.5, 0.5], [0.25, 0.75], [0.79, 0.21]])
    of = Scores(np.array(["a", "b", "b", "b", "a"]), np.array(["a"] * 5), probabilities, ("a", "b"), 1.5, 7.0)
    expected = [(0.2, 0.5, 0.0), (0.4, 0.77, 1.0), (0.4, 0.975, 0.5)]
    assert [tuple(map(float, each)) for each in of.reliability] == [pytest.approx(each) for each in expected]
    assert of.figures["calibration_error"] == pytest.approx(0.2 * 0.5 + 0.4 * 0.23 + 0.4 * 0.475)
    assert of.figures["log_loss"] == pytest.approx(-np.mean(np.log([0.95, np.finfo(float).eps, 0.5, 0.75, 0.79])), rel=1e-3)
    assert of.figures["accuracy"] == 0.4
    assert of.figures["macro_f1"] == pytest.approx((4 / 7) / 2)
    assert (of.figures["latency_p95_ms"], of.figures["size_bytes"]) == (1.5, 7.0)
    assert of.confusion.tolist() == [[2, 0], [3, 0]]
    part = of.part(np.array([True, False, False, False, True]))
    assert (part.figures["accuracy"], part.classes, part.latency_p95_ms, part.size_bytes) == (1.0, ("a", "b"), 1.5, 7.0)
    assert part.probabilities is not None
    assert part.probabilities.tolist() == [[0.95, 0.05], [0.79, 0.21]]


def test_without_probabilities_or_with_a_label_that_is_not_known_there_is_no_calibration() -> None:
    bare = replace(RIGHT.scores, probabilities=None)
    assert bare.reliability == ()
    assert bare.part(np.array([True] * 15)).probabilities is None
    unknown = replace(RIGHT.scores, truth=np.array(["Autre"] * 15))
    for of in (bare, unknown):
        assert {"log_loss", "calibration_error"}.isdisjoint(of.figures)
    assert unknown.labels == tuple(sorted(("Autre", *CLASSES)))


def test_rows_of_several_columns_are_told_apart_by_each_field() -> None:
    one = row_hashes(pd.DataFrame({"a": ["x", "xy"], "b": ["yz", "z"]}))
    assert len(set(one)) == 2
    assert all(each.startswith("sha256:") and len(each) == 71 for each in one)
    odd = pd.DataFrame({"text": pd.Series(["É  a", "\ud800"], dtype=object)})
    assert row_hashes(odd)[0] == row_hashes(pd.DataFrame({"text": ["e-A!"]}))[0]
    texts = row_hashes(pd.DataFrame({"subject": ["É  a", "É a B"], "body": ["b !", "!"]}))
    assert texts[0] == row_hashes(pd.DataFrame({"subject": ["e-A"], "body": ["B"]}))[0] != texts[1]
    assert (normalise("_a_B-ç "), normalise(" ?! ")) == ("a b c", "?!")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("é" * 59, ["short"]),
        ("é" * 60, []),
        ("e" * 60, ["no_accents"]),
        ("ÀAA" + "b" * 2 + "é" * 60, []),
        ("ÉTÉ" + " " * 60 + "az", []),
        ("ÉTÉS" + " 1" * 60 + "az", ["capitals"]),
        ("12 34", ["short", "no_accents"]),
    ],
)
def test_a_slice_is_told_by_its_limit(text: str, expected: list[str]) -> None:
    assert [name for name, rows in slices_of(pd.DataFrame({"text": [text], "size": [1.0]})).items() if rows[0]] == expected


def test_texts_of_several_columns_are_joined_for_slices() -> None:
    both = pd.DataFrame({"text": ["e" * 30], "title": ["e" * 29]})
    assert not slices_of(both)["short"][0]
    assert slices_of(both.assign(title="e" * 28))["short"][0]


def test_what_is_wrong_is_said_in_both_languages() -> None:
    problems = (Message("too_low", {"figure": "accuracy", "measured": "0.1", "asked": "0.2"}), Message("never", {"labels": "a"}))
    finding = Finding("accuracy", False, "", "", problems)
    assert finding.message == "accuracy is 0.1, at least 0.2 is asked for; never predicted: a"
    assert finding.text("fr") == "exactitude : 0,1, il faut au moins 0,2 ; jamais donnés : a"
    assert finding.text("en") == "accuracy is 0.1, at least 0.2 is asked for; never predicted: a"
    slices = Message("slice_low", {"slice": "short", "rows": "5", "measured": "0.1", "asked": "0.2"})
    assert message_text(slices, "fr").startswith("exactitude sur la tranche « textes courts » (5 lignes)")
    assert message_text(slices).startswith("accuracy on the slice short (5 rows)")


def test_the_page_shows_twelve_changed_rows_of_240_characters() -> None:
    texts = [f"{place:02}" + "x" * 238 for place in range(14)] + ["y" * 241]
    truth = [0] * 15
    for given, shown in (([0] + [1] * 13 + [0], 12), ([0] * 14 + [1], 1)):
        of = evidence(contender(2, scores(truth, given)), contender(1, scores(truth, truth)), records=pd.DataFrame({"text": texts}))
        changed = report._changed(of)
        assert len(changed) == shown
    assert (changed[0].text, changed[0].truth, changed[0].champion, changed[0].challenger) == (
        "y" * 240 + "…", CLASSES[0], CLASSES[0], CLASSES[1],
    )  # fmt: skip
    assert report._changed(evidence(RIGHT)) == []


def test_the_page_says_figures_in_the_readers_units() -> None:
    assert report._units("1.2 MB, 3 MiB", "fr") == "1,2 Mo ; 3 Mio"
    assert report._units("1.2 MB, 3 MiB", "en") == "1.2 MB, 3 MiB"
    assert (report._figure(None, "accuracy"), report._figure(2e6, "size_bytes")) == ("—", "2.0 MB")


def test_the_page_counts_rows_by_class_and_by_slice() -> None:
    texts = ["court"] * 5 + ["UN TEXTE EN CAPITALES QUI EST BIEN PLUS LONG QUE SOIXANTE CARACTÈRES"] * 10
    old, new = contender(1, scores(TRUTH, [1] * 15)), contender(2, scores(TRUTH, TRUTH))
    content: Any = report._content(verdict(evidence(new, old, records=pd.DataFrame({"text": texts})), {}), "en")
    by_class = {each["label"]: (each["support"], each["values"]) for each in content["per_class"]}
    assert by_class[CLASSES[0]] == (6, [0.0, 1.0])
    assert by_class[CLASSES[1]] == (5, [pytest.approx(0.5), 1.0])
    by_slice = {each["label"]: (each["support"], each["values"]) for each in content["slices"]}
    assert by_slice == {"short": (5, [0.0, 1.0]), "capitals": (10, [0.5, 1.0]), "no_accents": (5, [0.0, 1.0])}
    assert [name for name, _ in content["contenders"]] == ["champion", "challenger"]
    assert content["rows"] == 15
    assert "log_loss" in content["shown"]
    assert content["limits"]["champion"] == "≥ -0.02"
