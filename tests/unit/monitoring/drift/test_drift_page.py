"""The page, the gauges and the figures of a result: both languages, French numbers, nothing from elsewhere, under 100 KB."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest
from prometheus_client.parser import text_string_to_metric_families

from passerelle.monitoring.drift.drift_page import html
from passerelle.monitoring.drift.drift_result import DriftResult, SharedAnswers
from passerelle.monitoring.drift.drift_text import MEASURE_NAMES, TEXTS
from passerelle.monitoring.drift.gauges import figures_of, prometheus_text
from passerelle.monitoring.drift.last_result import LastDrift, read_last, write_last
from passerelle.monitoring.drift.new_words import NewWord
from passerelle.monitoring.drift.numbers_shown import Language, figure, number, percentage, probability
from passerelle.monitoring.drift.rules import Measure
from passerelle.monitoring.drift.signals import HISTORY
from passerelle.stages.drift_rows import rows_of
from tests.unit.monitoring.drift.days import day, found, history

ALARM = replace(
    found(history([day(back, {"Voirie": 40, "Propreté": 50, "<b>Écoles</b>": 10}) for back in range(7, -1, -1)])),
    words=(NewWord("grève", 60, 4, 9.1),),
    texts=1_234,
    refused=SharedAnswers(12, 3_000, 0.004, 0.002, 0.007),
)
QUIET = found(history(), None)
FEW = found(history(labels={"Voirie": 8}))
EMPTY = found([day(back, {}) for back in range(HISTORY - 1, -1, -1)])
RESULTS = pytest.mark.parametrize("result", [ALARM, QUIET, FEW, EMPTY], ids=["alarm", "quiet", "few", "empty"])


def test_both_languages_have_the_same_texts() -> None:
    assert TEXTS["fr"].keys() == TEXTS["en"].keys()
    assert MEASURE_NAMES["fr"].keys() == MEASURE_NAMES["en"].keys() == set(get_args(Measure))
    for key, english in TEXTS["en"].items():
        fields = [{name for _, name, _, _ in Formatter().parse(text) if name} for text in (english, TEXTS["fr"][key])]
        assert fields[0] == fields[1], key


@RESULTS
@pytest.mark.parametrize("language", get_args(Language))
def test_the_page_says_the_state_first_and_holds_nothing_from_elsewhere(result: DriftResult, language: Language) -> None:
    page = html(result, language=language)
    assert f'<html lang="{language}">' in page
    assert TEXTS[language][result.state] in unescape(re.search(r"<h1>(.*?)</h1>", page)[1])  # type: ignore[index]
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "<script" not in page
    assert "<b>É" not in page
    assert len(page.encode()) < 100_000
    for name in result.unknown:
        assert TEXTS[language][f"unknown_{name}"] in unescape(page)


def test_a_french_page_has_french_numbers_and_words() -> None:
    page = unescape(html(ALARM, language="fr"))
    assert "part du thème « Propreté » : 50,0\N{NO-BREAK SPACE}%, contre 30,7\N{NO-BREAK SPACE}% le mois précédent" in page
    assert "textes caviardés, 1\N{NARROW NO-BREAK SPACE}234 dans la fenêtre" in page
    assert "31/01/2026" in page
    for english in ("month before", "usual", "answers", "window", "not known"):
        assert english not in re.sub(r"(?s)<style>.*?</style>", "", page)


def test_a_page_on_hundreds_of_labels_shows_the_frequent_ones_and_the_alarms() -> None:
    usual = {f"Un thème parmi trois cents, numéro {number}": 10 + number for number in range(300)}
    rare = {**usual, "Un thème parmi trois cents, numéro 0": 5_000}
    result = found(history([day(back, rare) for back in range(7, -1, -1)], usual), None)
    page = unescape(html(result, language="fr"))
    assert "260 thèmes plus rares, tous habituels, ne sont pas montrés." in page
    assert {each.label for each in result.alarms} == {"Un thème parmi trois cents, numéro 0"}
    assert len(re.findall(r'<tr id="label-', page)) == 40
    assert len(page.encode()) < 100_000


def test_each_label_leads_to_its_counts() -> None:
    page = html(ALARM)
    links = re.findall(r'href="#(label-\d+)"', page)
    assert len(links) == 3
    assert all(f'id="{link}"' in page for link in links)


@pytest.mark.parametrize(
    ("shown", "french", "english"),
    [
        (number(1_234.5, "fr", 1), "1\N{NARROW NO-BREAK SPACE}234,5", number(1_234.5, "en", 1) == "1,234.5"),
        (percentage(0.123, "fr"), "12,3\N{NO-BREAK SPACE}%", percentage(0.123, "en") == "12.3%"),
        (figure("length", 12.34, "fr"), "12,3\N{NO-BREAK SPACE}mots", figure("length", 12.34, "en") == "12.3 words"),
        (probability(0.0002, "fr"), "<\N{NO-BREAK SPACE}0,001", probability(0.0002, "en") == "<0.001"),
        (number(None, "fr"), "—", True),
    ],
)
def test_numbers_are_written_as_the_language_does(shown: str, french: str, english: bool) -> None:
    assert shown == french
    assert english


@RESULTS
def test_prometheus_can_read_the_gauges(result: DriftResult) -> None:
    families = {family.name: family.samples for family in text_string_to_metric_families(prometheus_text(result))}
    assert families["passerelle_drift_alarm"][0].value == (result.state == "alarm")
    assert families["passerelle_drift_day_seconds"][0].value == 1_769_817_600
    assert len(families["passerelle_drift_signal_alarm"]) == len(result.signals)


def test_the_figures_for_mlflow_have_names_that_it_takes() -> None:
    figures = figures_of(ALARM)
    assert figures["drift/alarm"] == 1.0
    assert figures["drift/labels/Propreté"] == pytest.approx(0.5)
    assert "drift/labels/_b_Écoles__b_" in figures
    assert all(re.fullmatch(r"[\w\-. /]+", name) for name in figures)


def test_the_terminal_gets_a_row_for_each_figure() -> None:
    rows = rows_of(ALARM)
    assert "refused or failed requests since the service started: 0.4% (12 of 3,000; 0.2% to 0.7%)" in rows.lines
    assert ("Propreté", "50.0%", "30.7%", "30.0%", "alarm") in rows.table
    assert all(text.isprintable() for row in rows.table for text in row)
    assert rows_of(EMPTY).table == ()


def test_the_last_result_is_kept_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    last = LastDrift("comments", "2026-01-31", "alarm", ("share to review: 9.0%, 5.0% in the month before",))
    assert read_last(tmp_path / "monitoring") is None
    write_last(tmp_path / "monitoring", last)
    assert read_last(tmp_path / "monitoring") == last == read_last(tmp_path / "monitoring", "comments")
    assert read_last(tmp_path / "monitoring", "themes") is None, "each registered model has its own"
    for content in ("{", "[]", json.dumps({"day": 1})):
        (tmp_path / "monitoring" / "drift-comments.json").write_text(content)
        assert read_last(tmp_path / "monitoring") is None
