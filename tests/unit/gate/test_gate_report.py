"""The gate's page: both languages, nothing from elsewhere, readable on a phone and by a screen reader."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from string import Formatter
from typing import Any, cast, get_args

import pytest

from passerelle.criteria import Check
from passerelle.gate.gate_inputs import NOTHING
from passerelle.gate.messages import MESSAGES, NAMES, Language, Message, message_text
from passerelle.gate.report import html, markdown
from passerelle.gate.report_text import TEXTS
from passerelle.gate.verdict import Verdict
from passerelle.model.record import Column
from passerelle.model.version_differences import DifferentRow, PairCount, VersionDifferences
from passerelle.registry.looks import LookTaken
from tests.unit.gate.verdicts import contender, evidence, scores, verdict

TRUTH = [0] * 30 + [1] * 20 + [2] * 10
BETTER = evidence(contender(2, scores(TRUTH, TRUTH, sure=0.9)), contender(1, scores(TRUTH, [0] * 40 + [1] * 20)))
WORSE = evidence(contender(2, scores(TRUTH, [0] * 40 + [1] * 20)), contender(1, scores(TRUTH, TRUTH)))
ALONE = evidence(contender(2, scores(TRUTH, TRUTH)))
SWAPPED = evidence(contender(2, scores(TRUTH, [1] * 30 + [0] * 20 + [2] * 10)))
OTHER_COLUMNS = evidence(
    contender(2, scores(TRUTH, TRUTH), libraries={"scikit-learn": "1.8.0", "scipy": "1.17.1"}),
    champion_columns=(Column("comment", "string"),),
    champion_version=41,
    champion_says=False,
    leaked=3,
)
#: One row is in dispute, and the rows are too few to tell.
FEW = evidence(contender(2, scores(TRUTH * 2, [1, *(TRUTH * 2)[1:]])), contender(1, scores(TRUTH * 2, TRUTH * 2)))
CRITERIA: dict[str, Any] = {"held_out": {"minimum": {"accuracy": 0.5}, "maximum": {"size_bytes": 5e6}}}


def judged(of: Any) -> Verdict:
    return verdict(of, CRITERIA)


def plain(page: str) -> str:
    """Return a report as it is read, without what keeps its lines from breaking."""
    return unescape(page).replace("\N{NO-BREAK SPACE}", " ")


def test_both_languages_have_the_same_words() -> None:
    assert TEXTS["fr"].keys() == TEXTS["en"].keys()
    assert MESSAGES["fr"].keys() == MESSAGES["en"].keys()
    assert NAMES["fr"].keys() == NAMES["en"].keys() == set(get_args(Check))
    for key, english in MESSAGES["en"].items():
        fields = [{name for _, name, _, _ in Formatter().parse(text) if name} for text in (english, MESSAGES["fr"][key])]
        assert fields[0] == fields[1], key


_CODES = r"(?ms)<style>.*?</style>|<code>.*?</code>|`[^`]*`|^\| [\w ]+ \|"
STRICT: dict[str, Any] = {
    "held_out": {
        "minimum": {"accuracy": 0.99, "macro_f1": 0.99},
        "maximum": {"size_bytes": 10, "latency_p95_ms": 0.1, "memory_mib": 1, "calibration_error": 0.001, "log_loss": 0.001},
        "class_f1": 0.99,
        "classes": {"Voirrie": 0.5},
        "slices": {"short": 0.99, "label": 0.99},
    }
}


def test_a_french_page_says_in_french_what_is_wrong() -> None:
    seen = set()
    for of in (WORSE, OTHER_COLUMNS, SWAPPED):
        found = verdict(of, STRICT)
        pages = [plain(html(found, language="fr")), plain(markdown(found, language="fr"))]
        for finding in found.failures:
            for page in pages:
                assert finding.message not in page
                assert plain(finding.text("fr")).replace(" MB", " Mo").replace(" MiB", " Mio") in page
            seen |= {problem.key for problem in finding.problems}
            assert NAMES["fr"][finding.check] in pages[0]
        for english in (" is ", "asked for", "which is in production", "held-out", "learned", "never", " MB", "calibration_error is"):
            for page in pages:
                assert english not in re.sub(_CODES, "", page)
    wanted = {"worse", "never", "class_low", "class_unknown", "slice_low", "label_low", "too_low", "too_high", "swapped", "leaked"}
    assert seen >= wanted | {"library", "library_unknown", "signature", "unscored", "rows_unknown"}


def test_a_champion_that_takes_other_columns_is_named() -> None:
    for language, words in (("fr", "version 41 (pas évaluée"), ("en", "version 41 (not scored")):
        page = html(judged(OTHER_COLUMNS), language=cast(Language, language))
        assert words in page
        assert TEXTS[cast(Language, language)]["none"] not in unescape(page)


def test_the_markdown_s_figures_have_their_limits() -> None:
    text = markdown(judged(WORSE), language="fr")
    assert re.search(r"^\| exactitude \| 1,000 \| 0,667 \| ≥ 0,500 \|$", text, re.MULTILINE)
    assert re.search(r"^\| taille \| 1,0 Mo \| 1,0 Mo \| ≤ 5,0 Mo \|$", text, re.MULTILINE)
    assert re.search(r"^\| mémoire \| 20 Mio \| 20 Mio \| — \|$", text, re.MULTILINE)


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("of", [BETTER, WORSE, ALONE, FEW], ids=["better", "worse", "alone", "few"])
def test_the_page_says_the_verdict_first_and_holds_nothing_from_elsewhere(of: Any, language: Any) -> None:
    found = judged(of)
    page = html(found, language=language)
    assert f'<html lang="{language}">' in page
    assert TEXTS[language][found.result] in re.search(r"<h1>(.*?)</h1>", page)[1]  # type: ignore[index]
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "<script" not in page
    assert "<b>depuis</b>" not in page
    for finding in found.failures:
        assert finding.check in page


def test_the_markdown_holds_every_check() -> None:
    text = markdown(judged(WORSE), language="en")
    assert text.startswith("# Gate report")
    for finding in judged(WORSE).findings:
        assert f"| {finding.check} |" in text
    assert "**Refused**" in text
    assert "\n\n\n\n" not in text


@pytest.mark.parametrize(("language", "heading"), [("fr", "Trop peu de lignes pour conclure"), ("en", "Too few rows to tell")])
def test_what_a_verdict_is_worth_stands_in_both_reports(language: Any, heading: str) -> None:
    found = replace(judged(FEW), look=LookTaken(7, counted=False))
    assert (found.result, found.passed) == ("undecided", False)
    for text in map(plain, (html(found, language=language), markdown(found, language=language))):
        assert heading in text
        assert all(plain(sentence) in text for sentence in found.worth(language))
        assert TEXTS[language]["worth"] in text
    assert TEXTS[language]["worth"] not in html(judged(ALONE), language=language)


@pytest.mark.parametrize("language", ["fr", "en"])
def test_what_a_person_accepted_is_no_reason_to_refuse_and_stands_with_who_and_why(language: Any) -> None:
    found = judged(FEW)
    words, by = TEXTS[language], "marie@bureau: forty more messages"
    for before, after in zip(
        *(
            map(plain, (html(each, language=language), markdown(each, language=language)))
            for each in (found, found.accepting("champion", by))
        ),
        strict=True,
    ):
        assert words["accepted_by"] not in before
        assert words["unknown"] in before.partition("</header>")[2] or "<html" not in before
        top = after.partition(words["accepted_by"])
        assert words["passed"] in top[0]
        assert by in top[2].partition("leakage")[0]
        assert found.undecided is not None
        assert plain(found.undecided.text(language)) not in top[0]
        assert re.search(rf"~ {words['accepted']}|\| {words['accepted']} · {re.escape(by)} \|", after)


def test_why_recipes_are_not_compared_is_said_in_french_too() -> None:
    file, names = "the file whose digest is sha256:1", "passerelle.toml names"
    for why, french in {
        "an adopted model has no recipe": "un modèle adopté n'a pas de recette",
        "a recipe cannot be fitted again (ValueError)": "une recette ne s'entraîne plus (ValueError)",
        NOTHING.training_rows(): "le projet ne nomme pas de données",
        f"a.csv is not what it was trained on: put {file} there, or train again on this one": "entraîner à nouveau sur celui-ci",
        f"the project's data cannot be read (OSError): put {file} where {names} it": "sha256:1 là où passerelle.toml le nomme",
        f"{names} no data of this model: write its file below the model's data": "y écrire leur fichier",
        "another reason": "another reason",
    }.items():
        assert message_text(Message("recipes_none", {"version": "1", "rows": "2", "of": "3", "why": str(why)}), "fr").endswith(french)
    told = Message("contradicts", {"rows": "9", "of": "10", "source": "version 1", "pairs": "—", "asked": "5%"})
    assert "que connaît aussi la version 1 y ont" in message_text(told, "fr")


def test_no_line_of_a_page_breaks_before_french_punctuation_or_within_a_limit() -> None:
    page = html(judged(FEW), language="fr")
    texts = re.sub(r"<[^>]*>", "\n", page.rpartition("</style>")[2])
    assert not re.search(r" [:;?!%»](\s|$)|« |[≥≤] \d|\d%", texts)
    assert "≥\N{NO-BREAK SPACE}-0,02" in texts
    assert "« " not in html(judged(FEW), language="en").rpartition("</style>")[2]


@pytest.mark.parametrize("language", ["fr", "en"])
def test_what_a_candidate_did_live_is_in_the_report(language: Any) -> None:
    live = {"live_requests": ("1,000", "100"), "live_review": ("5.0%", "<7.0%>")}
    page, text = html(judged(BETTER), language=language, live=live), markdown(judged(BETTER), language=language, live=live)
    words = TEXTS[language]
    thousand, share = ("1\N{NARROW NO-BREAK SPACE}000", "7,0\N{NO-BREAK SPACE}%") if language == "fr" else ("1,000", "7.0%")
    production, candidate = (f'<td class="n" data-label="{words[name]}">' for name in ("live_production", "live_candidate"))
    assert f'<th scope="row">{words["live_requests"]}</th>{production}{thousand}</td>{candidate}100</td>' in page
    assert f"&lt;{share}&gt;" in page
    assert f"| {words['live_requests']} | {thousand} | 100 |" in text
    for without in (html(judged(BETTER), language=language), markdown(judged(BETTER), language=language)):
        assert words["live"] not in without


def test_labels_that_differ_on_a_table_stand_in_both_reports_and_are_escaped() -> None:
    pair, row = PairCount("délai", "a|<b>", 3), DifferentRow("a.csv", 1, "<script>", "délai", "a|<b>")
    found = VersionDifferences("comments", 1, 2, 10, 3, 0, (pair,), (row,))
    page = html(judged(BETTER), language="en", differences=found)
    assert "Labels that differ on a whole table" in page
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert "| délai | a\\|<b> | 3 |" in markdown(judged(BETTER), language="en", differences=found)
    assert "whole table" not in html(judged(BETTER), language="en")
