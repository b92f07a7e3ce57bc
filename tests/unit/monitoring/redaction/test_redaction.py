"""What the redaction finds and leaves, in two sets of sentences and in texts without personal data; and how long hostile texts take."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from passerelle.monitoring.redaction import redact
from passerelle.monitoring.redaction.folding import fold
from passerelle.monitoring.redaction.prefilters import cues_of
from passerelle.monitoring.redaction.replace import RULES, find

ROOT = Path(__file__).resolve().parents[4]
DATA = ROOT / "tests" / "data"


class Recall(NamedTuple):
    """What was found of a set of sentences."""

    sentences: int
    expected: int
    found: int
    false_alarms: int


def recall(name: str) -> Recall:
    """Return what the rules find; of a false alarm a letter or digit disappears that is no personal data."""
    rows = [json.loads(line) for line in (DATA / f"redaction_{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    expected = found = false_alarms = 0
    for row in rows:
        text, personal, end = row["text"], set[int](), 0
        spans = find(text)
        covered = {place for start, stop, _ in spans for place in range(start, stop)}
        for _, value in row["find"]:
            start = text.index(value, end)
            end = start + len(value)
            personal |= set(range(start, end))
            expected += 1
            found += all(place in covered for place in range(start, end) if text[place].isalnum())
        false_alarms += sum(
            any(text[place].isalnum() and place not in personal for place in range(start, stop)) for start, stop, _ in spans
        )
    return Recall(len(rows), expected, found, false_alarms)


@pytest.mark.parametrize(("name", "figures"), [("rules", Recall(145, 121, 121, 0)), ("measured", Recall(145, 118, 110, 2))])
def test_recall_and_false_alarms_are_those_that_the_docs_state(name: str, figures: Recall) -> None:
    assert recall(name) == figures
    row = f"| `redaction_{name}.jsonl` | {figures.sentences} | {figures.found} of {figures.expected} | {figures.false_alarms} |"
    assert row in (ROOT / "docs" / "redaction.md").read_text(encoding="utf-8")


def test_nothing_is_found_in_texts_without_personal_data() -> None:
    with (ROOT / "training" / "data" / "comments.csv").open(encoding="utf-8") as file:
        comments = [row["text"] for row in csv.DictReader(file)]
    with (DATA / "service_public_questions.csv").open(encoding="utf-8") as file:
        titles = [row["texte"] for row in csv.DictReader(file)]
    assert [(text, found) for text in comments + titles if (found := find(text))] == []


def test_markers_stand_for_what_was_found_and_are_counted() -> None:
    redacted = redact("Mme Diallo, 12 rue de Rivoli, répond au 06 12 34 56 78 ou au 01.42.76.40.40.")
    assert redacted.text == "Mme [nom], [adresse], répond au [téléphone] ou au [téléphone]."
    assert redacted.counts == {"name": 1, "address": 1, "phone": 2}


def test_a_redacted_text_is_not_redacted_again() -> None:
    for name in ("rules", "measured"):
        for line in (DATA / f"redaction_{name}.jsonl").read_text(encoding="utf-8").splitlines():
            once = redact(json.loads(line)["text"]).text
            for marker in (rule.marker for rule in RULES.values()):
                assert redact(once).text.count(marker) >= once.count(marker), once


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("tél ０６\u00a0１２\u202f３４\u200b５６ ７８ !", "tél [téléphone] !"),
        ("ne\u0301e le 12\u00a0mars 1978", "ne\u0301e le [date de naissance]"),
        ("Mme He\u0301le\u0300ne Dupre\u0301 attend", "Mme [nom] attend"),
        ("mail a\u00adb\u2060c＠exemple．fr", "mail [e-mail]"),
        ("ligne 1\r\nM. Petit\r\n", "ligne 1\r\nM. [nom]\r\n"),
        ("1️⃣ et 🙂 restent, ﬁn et ½ aussi", "1️⃣ et 🙂 restent, ﬁn et ½ aussi"),
    ],
)
def test_other_spellings_of_characters_are_read_and_what_stays_is_unchanged(text: str, expected: str) -> None:
    assert redact(text).text == expected


@pytest.mark.parametrize(
    "text",
    ["carte 4970 1012 3456 7890", "FR76 3000 4000 0312 3456 7890 145", "1 85 13 75 116 001 23", "SIRET 732 829 320 00074", "3 25 1234 567"],
)
def test_a_number_with_a_wrong_checksum_stays(text: str) -> None:
    assert redact(text).text == text


def test_a_bank_account_ends_where_its_country_lets_it_end() -> None:
    assert redact("FR76 3000 4000 0312 3456 7890 143 est mon compte").text == "[IBAN] est mon compte"
    assert redact("FR7630004000031234567890143 06 12 34 56 78").text == "[IBAN] [téléphone]"


#: For each rule, the beginnings over which a regular expression could try again and again.
HOSTILE = {
    "email": ("1", "a.", "A-", "a@", "a point ", "a arobase ", "(at"),
    "iban": ("fr76", "fr76 ", "fr 76 1"),
    "nir": ("1", "1 ", "1.-", "2a"),
    "card": ("1", "1-", "4 "),
    "file_number": ("dossier n° ", "ref ", "dossier a1-", "ticket 1 12 "),
    "birth_date": ("né le 1 ", "date de naissance ", "ne le 12 mars "),
    "phone": ("+", "0", "06 ", "(+33 (0", "0-_/"),
    "plate": ("ab-123-", "1234 ab ", "voiture ab 123 "),
    "address": ("12 rue ", "12 rue de la ", "1 bis, ", "12 rue a 75011 ", "batiment ", "residence les a "),
    "name": ("mme ", "Mme De ", "Mme A. ", "mon fils ", "cordialement ", "Marie ", "je m'appelle ", "Jean Petit et ", "A'a-", "l'"),
}
CHARACTERS, MOST_SECONDS = 20_000, 1.0


def cpu_seconds(rule: str, start: str, characters: int) -> float:
    text = (start * characters)[:characters]
    began = time.process_time()
    folded = fold(text)
    cues = cues_of(folded)
    for finder in RULES[rule].finders:
        finder.possible(cues)
        for _ in finder.spans(folded):
            pass
    return time.process_time() - began


def test_each_rule_is_tried_on_hostile_texts() -> None:
    assert set(HOSTILE) == set(RULES)


@pytest.mark.parametrize("rule", HOSTILE)
def test_the_time_of_each_rule_grows_with_the_length_alone(rule: str) -> None:
    for start in (*HOSTILE[rule], " ", "1", "\u200b"):
        # A rule whose time grows with the square takes four times as long; 0.02 s are the clock's own noise.
        attempts = ((cpu_seconds(rule, start, CHARACTERS), cpu_seconds(rule, start, CHARACTERS // 2)) for _ in range(3))
        assert any(seconds < min(MOST_SECONDS, 3 * half + 0.02) for seconds, half in attempts), start
