"""The behaviour suite: what it asks, and what it refuses to ask."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from passerelle.criteria import Criteria
from passerelle.errors import UsageError
from passerelle.gate.behaviour import MOST_CASES, behaviour_of, read_suite
from passerelle.gate.row_checks import behaviour
from passerelle.gate.row_evidence import RowEvidence

SUITE = """
labels:
  - {text: "pas de nouvelles", label: Délai}
  - {text: "merci bien", label: Merci}
same:
  - ["Facture fausse !", "facture fausse"]
unchanged:
  - {text: "Monsieur, pas de nouvelles", word: Monsieur, instead: [Madame, ""]}
"""


def labelled(texts: Sequence[str]) -> list[str]:
    """Say 'Merci' of thanks and of whatever names a gentleman."""
    return ["Merci" if "merci" in text or "Monsieur" in text else "Délai" for text in texts]


def test_cases_that_fail_are_named_by_their_place() -> None:
    suite = read_suite("suite.yaml", SUITE.encode())
    assert "Madame, pas de nouvelles" in suite.texts
    assert ", pas de nouvelles" in suite.texts
    found = behaviour_of(suite, ["Délai", "Merci"], labelled)
    assert (found.cases, found.failed, found.unknown_labels) == (4, ("unchanged 1",), ())
    assert found.share == 0.75


@pytest.mark.parametrize(("minimum", "passed"), [(0.75, True), (0.76, False)])
def test_the_criteria_say_which_share_must_pass(minimum: float, passed: bool) -> None:
    found = behaviour_of(read_suite("suite.yaml", SUITE.encode()), ["Délai", "Merci"], labelled)
    criteria = Criteria.model_validate({"held_out": {"behaviour": {"file": "suite.yaml", "minimum": minimum}}})
    [finding] = behaviour(RowEvidence(behaviour=found), criteria)
    assert (finding.passed, finding.value) == (passed, "3 / 4")
    assert passed or finding.message == "1 of 4 cases of the behaviour suite fail, 76% must pass: unchanged 1"
    assert "nouvelles" not in finding.message


def test_a_label_that_the_model_does_not_have_is_named_with_the_one_that_is_meant() -> None:
    found = behaviour_of(read_suite("suite.yaml", SUITE.replace("Délai", "Delai").encode()), ["Délai", "Merci"], labelled)
    criteria = Criteria.model_validate({"held_out": {"behaviour": {"file": "suite.yaml", "minimum": 0}}})
    [finding] = behaviour(RowEvidence(behaviour=found), criteria)
    assert finding.message == "the behaviour suite asks for labels that the model does not have: 'Delai' ('Délai'?)"


def test_a_model_of_a_table_cannot_be_asked() -> None:
    criteria = Criteria.model_validate({"held_out": {"behaviour": {"file": "suite.yaml"}}})
    [finding] = behaviour(RowEvidence(suite_columns=("age", "city")), criteria)
    assert finding.message == "the behaviour suite has texts, and the model takes other columns: age, city"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("labels: [{text: a b, label: X}, {text: 'A, B!', label: Y}]", "labels 2 asks 'Y' of a text of which labels 1 asks 'X'"),
        (
            "labels: [{text: a, label: X}, {text: b, label: Y}]\nsame: [[a, b]]",
            "same 1 asks the same label of texts of which labels 1 asks 'X' and labels 2 'Y'",
        ),
        (
            "labels: [{text: a, label: X}, {text: c, label: Y}]\nsame: [[a, b], [b, c]]",
            "same 2 asks the same label of texts of which labels 1 asks 'X' and labels 2 'Y'",
        ),
        (
            "labels: [{text: cher ami, label: X}, {text: ami, label: Y}]\nunchanged: [{text: cher ami, word: cher}]",
            "unchanged 1 asks the same label",
        ),
        ("unchanged: [{text: bonjour, word: jour}]", "unchanged 1: the word is not in the text as a whole word"),
        ("unchanged: [{text: 'bon  jour', word: nuit}]", "unchanged 1: the word is not in the text as a whole word"),
        ("unchanged: [{text: bon jour, word: jour, instead: [jour]}]", "unchanged 1: the word is not in the text .* or stands for itself"),
        ("unchanged: [{text: bonjour, word: bonjour}]", "unchanged 1: nothing is left of the text"),
        ("same: [[a]]", "same.0: Tuple should have at least 2 items"),
        ("labels: [{text: a}]", "labels.0.label: Field required"),
        ("labels: [{text: a, label: yes}]", "line 1: label: yes is a truth value"),
        ("labels: [{text: a, label: 3}]", "labels.0.label: Input should be a valid string"),
        ("lables: []", "lables: unknown key"),
        ("{}", "0 cases, where 1 to 1,000 are read"),
        ("- a", "it holds none of the keys labels, same and unchanged"),
        ("same: [" + "[a, b]," * (MOST_CASES + 1) + "]", "1,001 cases"),
        ("labels: " + "[" * 3_000, "more than 20 levels"),
    ],
)
def test_a_suite_that_no_model_can_meet_is_refused_with_its_case(content: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as refused:
        read_suite("training/behaviour.yaml", content.encode())
    assert refused.value.message.startswith("the behaviour suite training/behaviour.yaml is not usable: ")
    assert refused.value.hint == "git diff training/behaviour.yaml"
