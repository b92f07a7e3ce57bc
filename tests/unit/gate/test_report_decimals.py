"""Figures in the gate's page: a comma in French, a point in English, and versions and names as they are."""

from __future__ import annotations

import re

import pytest

from passerelle.gate.messages import Language, Message, message_text
from passerelle.gate.report import html, markdown
from tests.unit.gate.task_verdicts import task_verdict, unjudged
from tests.unit.gate.test_gate_report import ALONE, BETTER, WORSE, judged

POINT, COMMA = re.compile(r"\d\.\d"), re.compile(r"\d,\d")
#: What is not shown as text.
HIDDEN = re.compile(r"<style>.*?</style>|<[^>]*>", re.DOTALL)
VERDICTS = {"better": judged(BETTER), "worse": judged(WORSE), "alone": judged(ALONE), "unjudged": task_verdict(unjudged("clustering"))}


def figures(page: str) -> str:
    """Return the text of a page but for the versions of libraries."""
    text = HIDDEN.sub("\n", page)
    return "\n".join(line for line in text.splitlines() if not re.search(r"[a-z-]+ \d+\.\d+", line))


@pytest.mark.parametrize("verdict", VERDICTS)
@pytest.mark.parametrize(("language", "wrong", "right"), [("fr", POINT, COMMA), ("en", COMMA, POINT)])
def test_decimals_are_those_of_the_language(verdict: str, language: Language, wrong: re.Pattern[str], right: re.Pattern[str]) -> None:
    for page in (html(VERDICTS[verdict], language=language), markdown(VERDICTS[verdict], language=language)):
        assert [line for line in figures(page).splitlines() if wrong.search(line)] == []
        assert right.search(figures(page))


def test_a_name_with_a_number_stays_as_it_is() -> None:
    message = Message("class_low", {"label": "Zone 1.5", "measured": "0.25", "asked": "0.3"})
    assert message_text(message, "fr") == "F1 de « Zone 1.5 » : 0,25, il faut au moins 0,3"
    assert message_text(message, "en") == "F1 of 'Zone 1.5' is 0.25, at least 0.3 is asked for"
