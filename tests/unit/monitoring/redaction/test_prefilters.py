"""The redaction finds the same as all of its rules without prefilters, and folds a text by bytes as it does by characters."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerelle.monitoring.redaction import numbers, persons, places, prefilters
from passerelle.monitoring.redaction.folding import _fold_any, fold
from passerelle.monitoring.redaction.replace import RULES, find

ROOT = Path(__file__).resolve().parents[4]
DATA = ROOT / "tests" / "data"
UNFILTERED = {
    kind: rule._replace(finders=[each._replace(possible=prefilters.always, least_digits=0) for each in rule.finders])
    for kind, rule in RULES.items()
}
#: What each finder begins with, and parts of it that could be found in another way than the prefilter looks for them.
PATTERNS: dict[str, list[re.Pattern[str]]] = {
    "emails": [numbers._EMAIL],
    "ibans": [numbers._IBAN_START],
    "nirs": [numbers._NIR],
    "cards": [numbers._CARD],
    "file_numbers": [numbers._FILE],
    "birth_dates": [numbers._BIRTH_DATE],
    "phones": [*numbers._PHONES],
    "plates": [numbers._PLATE, numbers._OLD_PLATE],
    "addresses": [places._WAY, places._RESIDENCE],
    "after_civility": [persons._CIVILITY],
    "after_introduction": [persons._INTRODUCTION, persons._STRICT_INTRODUCTION],
    "after_role": [persons._ROLE],
    "after_closing": [persons._CLOSING],
    "first_and_surname": [persons._CAPITALISED],
}
AFTER = ["", " ", "x", "7", "Dupont", "Jean Petit", "marie", "de Rivoli", " ,", "-a", "'", "_"]
OTHER_SPELLINGS = str.maketrans({" ": "\u00a0", "'": "’", "e": "é", "o": "ô", "-": "\u2013", "0": "０"})


@cache
def texts() -> list[str]:
    """Return all texts of the fixtures: the demo's comments, the titles of the public guide and the sentences of the redaction."""
    with (ROOT / "training" / "data" / "comments.csv").open(encoding="utf-8") as file:
        found = [row["text"] for row in csv.DictReader(file)]
    with (DATA / "service_public_questions.csv").open(encoding="utf-8") as file:
        found += [text for row in csv.DictReader(file) for text in (row["texte"], row["description"])]
    for name in ("rules", "measured"):
        found += [json.loads(line)["text"] for line in (DATA / f"redaction_{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    return found


def spellings(text: str) -> Iterator[str]:
    yield from (text, text.upper(), text.lower(), text.translate(OTHER_SPELLINGS), text.replace(" ", "\u00ad "), text.replace(" ", "\n"))


def test_prefilters_change_nothing_in_the_texts_of_the_fixtures() -> None:
    for number, text in enumerate(texts()):
        as_written, *others = spellings(text)
        for spelled in (as_written, others[number % len(others)]):
            assert find(spelled) == find(spelled, UNFILTERED), spelled


def test_each_finder_has_patterns() -> None:
    assert set(PATTERNS) == {finder.spans.__name__ for rule in RULES.values() for finder in rule.finders}


@pytest.mark.parametrize("name", PATTERNS)
@given(data=st.data())
def test_prefilters_change_nothing_where_a_pattern_of_a_rule_matches(name: str, data: st.DataObject) -> None:
    text = data.draw(st.one_of([st.from_regex(pattern) for pattern in PATTERNS[name]]))
    text = data.draw(st.sampled_from(AFTER)) + text + data.draw(st.sampled_from(AFTER))
    text = data.draw(st.sampled_from([text, text.title(), text.upper()]))
    assert find(text) == find(text, UNFILTERED)
    folded = fold(text)
    [finder] = [each for rule in RULES.values() for each in rule.finders if each.spans.__name__ == name]
    cues = prefilters.cues_of(folded)
    if not (cues.digits >= finder.least_digits and finder.possible(cues)):
        assert list(finder.spans(folded)) == []


@given(st.lists(st.one_of(st.deferred(lambda: st.sampled_from(texts())), st.text(max_size=20)), max_size=4))
def test_prefilters_change_nothing_in_joined_pieces_of_texts(pieces: list[str]) -> None:
    text = "".join(piece[: 5 + 7 * number] for number, piece in enumerate(pieces))
    assert find(text) == find(text, UNFILTERED)


@given(st.one_of(st.text(), st.text(st.characters(max_codepoint=0x17F)), st.text(st.characters(codec="cp1252"))))
def test_a_text_is_folded_by_bytes_as_by_characters(text: str) -> None:
    assert fold(text) == _fold_any(text)


def test_each_character_of_a_code_page_is_folded_by_bytes_as_by_characters() -> None:
    for code in range(0x2200):
        for text in (chr(code), f"a{chr(code)}B"):
            assert fold(text) == _fold_any(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Résidence les Lilas, bâtiment A", "address"),
        ("12rue de Rivoli", "address"),
        ("écrire à jean.petit\nat\nexemple.fr", "email"),
        ("réf12a3b", "file_number"),
        ("dossier 1a 23", "file_number"),
        ("né lundi 12 mars 1978", "birth_date"),
        ("né mars 1978", "birth_date"),
        ("mon fils de Paul", "name"),
        ("bonne fin de journée\nPaul", "name"),
        ("né(e)12 mars 1978", "birth_date"),
        ("je m'appelleMarc", "name"),
    ],
)
def test_prefilters_let_through_what_stands_close_together(text: str, kind: str) -> None:
    assert [found[2] for found in find(text)] == [kind]


@pytest.mark.parametrize("text", ["Le trottoir est cassé depuis l’été, merci d'agir", "", "œuvre d'art abîmée…"])
def test_texts_with_nothing_to_find_are_told_before_they_are_folded(text: str) -> None:
    assert prefilters.may_hold_any(text) is ("merci" in text)


@given(st.one_of(st.deferred(lambda: st.sampled_from(texts())), st.text(st.characters(codec="cp1252")), st.sampled_from("¹²³")))
def test_a_text_that_can_hold_nothing_passes_no_prefilter(text: str) -> None:
    if prefilters.may_hold_any(text):
        return
    cues = prefilters.cues_of(fold(text))
    for rule in RULES.values():
        for finder in rule.finders:
            assert not (cues.digits >= finder.least_digits and finder.possible(cues)), finder
