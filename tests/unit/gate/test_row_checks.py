"""References, contradictions and recipes, on plain data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FunctionTransformer, Pipeline

from passerelle.criteria import Criteria, Reference
from passerelle.errors import DataError, IntegrityError
from passerelle.gate.known_rows import contradictions, labels_of_rows
from passerelle.gate.labelled_rows import LabelledRows
from passerelle.gate.recipes import FOLDS, REPEATS, RecipeDifference, compare_recipes
from passerelle.gate.reference import checked, near_to
from passerelle.gate.row_checks import contradictions as contradicting
from passerelle.gate.row_checks import recipes, reference
from passerelle.gate.row_evidence import RowEvidence
from passerelle.stages.project_inputs import notes_on_classes

DIGEST = "sha256:" + "0" * 64
WORDS = {"Délai": "attente dossier retard", "Merci": "merci bravo accueil", "Voirie": "trottoir poubelle rue"}


def table(rows: int, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    labels = [list(WORDS)[place % 3] for place in range(rows)]
    texts = [f"{random.choice(WORDS[label].split())} {random.integers(10**9)} {random.integers(10**9)}" for label in labels]
    return pd.DataFrame({"text": texts, "label": labels})


def given(rows: pd.DataFrame) -> LabelledRows:
    return LabelledRows(rows, ("label",), "reference.csv", typed=False)


def test_rows_that_both_know_are_counted_where_no_label_is_in_common() -> None:
    ours = labels_of_rows(pd.DataFrame({"text": ["Été !", "b", "c", "c", "d"]}), ["X", "Y", "X", "Y", "Z"])
    theirs = labels_of_rows(pd.DataFrame({"text": ["ete", "B", "c", "e"]}), ["Y", "Y", "Y", "Z"])
    found = contradictions(ours, theirs, source="version 1")
    assert (found.shared, found.contradicting, found.pairs) == (3, 1, (("X", "Y", 1),))


@pytest.mark.parametrize(("changed", "passed"), [(0, True), (2, True), (5, True), (6, False), (40, False)])
def test_contradictions_are_bounded(changed: int, passed: bool) -> None:
    rows = pd.DataFrame({"text": [f"texte {place}" for place in range(100)]})
    ours = labels_of_rows(rows, ["X"] * 100)
    theirs = labels_of_rows(rows, ["Y"] * changed + ["X"] * (100 - changed))
    finding = contradicting(contradictions(ours, theirs, source="version 1"), 0.05)
    assert (finding.passed, finding.value) == (passed, f"{changed} / 100 (version 1)")
    assert passed or f"{changed} of 100 rows that version 1 knows too have another label there ('X' ≠ 'Y'" in finding.message


@pytest.mark.parametrize(
    ("rows", "rule", "error", "reason"),
    [
        (table(10), {}, DataError, "has 10 rows, and at least 30 are needed"),
        (table(40), {"label": "labels"}, DataError, r"no column 'labels' \(did you mean 'label'\?\)"),
        (table(40), {"text_column": "texte"}, DataError, r"no column 'texte' \(did you mean 'text'\?\)"),
        (table(40), {"digest": "sha256:" + "1" * 64}, IntegrityError, "is not the file that the criteria pin: its digest is sha256:000"),
    ],
)
def test_a_reference_that_tells_nothing_is_refused(rows: pd.DataFrame, rule: Any, error: type[Exception], reason: str) -> None:
    pinned = Reference.model_validate({"file": "reference.csv", "digest": DIGEST, **rule})
    with pytest.raises(error, match=reason):
        checked(pinned, given(rows), digest=DIGEST, least=20)


def test_the_criteria_may_ask_a_reference_for_more_rows() -> None:
    pinned = Reference.model_validate({"file": "reference.csv", "digest": DIGEST})
    assert len(checked(pinned, given(table(40)), digest=DIGEST, least=40).rows.table) == 40
    with pytest.raises(DataError, match="at least 41"):
        checked(pinned, given(table(40)), digest=DIGEST, least=41)


def test_near_duplicates_of_other_rows_are_found() -> None:
    records = pd.DataFrame({"text": ["Le lampadaire de ma rue est en panne", "Rien à signaler dans le quartier aujourd'hui"]})
    others = pd.DataFrame({"text": ["le lampadaire de ma rue est en panne !!", "Autre chose"]})
    assert near_to(records, others).tolist() == [True, False]
    numbers = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    assert near_to(numbers, numbers.iloc[1:]).tolist() == [False, True]
    assert not near_to(records, others.iloc[:0]).any()


def test_a_reference_that_training_may_have_seen_or_of_other_labels_is_refused() -> None:
    [finding] = reference(RowEvidence(reference=DIGEST, reference_unseen="comments.csv is not what it was trained on"))
    assert "the training did not know the reference, and its data is not here (comments.csv is not what" in finding.message
    [finding] = reference(RowEvidence(reference=DIGEST, reference_labels=(("Delai", "Délai"), ("Sport", None))))
    assert finding.message == "the reference has labels that the model does not: 'Delai' ('Délai'?), 'Sport'"
    assert [each.passed for each in reference(RowEvidence(reference=DIGEST))] == [True]
    assert list(reference(RowEvidence())) == []


def test_a_class_of_the_criteria_that_no_data_has_is_named_with_the_one_that_is_meant() -> None:
    criteria = Criteria.model_validate({"held_out": {"classes": {"Pb de suivi / Delai": 0.3, "Voirie": 0.1, "Zoo": 0.2}}})
    assert notes_on_classes(criteria, ["Pb de suivi /Délai", "Voirie"]) == (
        "held_out.classes of the criteria names 'Pb de suivi / Delai' ('Pb de suivi /Délai'?), which the data does not have",
        "held_out.classes of the criteria names 'Zoo', which the data does not have",
    )


def words() -> Pipeline:
    return Pipeline([("text", FunctionTransformer(column)), ("words", CountVectorizer()), ("classifier", LogisticRegression())])


def column(records: pd.DataFrame) -> pd.Series:
    return records["text"]


def test_recipes_are_fitted_anew_and_the_better_one_is_found() -> None:
    rows = table(120)
    fitted = words().fit(rows[["text"]], rows["label"])
    before = fitted.named_steps["classifier"].coef_.copy()
    lines: list[str] = []
    found = compare_recipes(
        DummyClassifier(strategy="most_frequent"),
        fitted,
        rows[["text"]],
        rows["label"].to_numpy(dtype=str),
        metric="accuracy",
        confidence=0.95,
        progress=lines.append,
    )
    assert (found.folds, found.rows) == (FOLDS * REPEATS, 120)
    assert lines == [f"both fitted again: fold {number} of {found.folds} done" for number in range(1, found.folds + 1)]
    assert 0.4 < found.low <= found.value <= found.high
    assert (fitted.named_steps["classifier"].coef_ == before).all(), "the pipelines themselves stay as they are"


def test_the_variance_is_the_corrected_one() -> None:
    rows = table(60)
    random, constant = (DummyClassifier(strategy=name, random_state=3) for name in ("uniform", "most_frequent"))
    labels = rows["label"].to_numpy(dtype=str)
    narrow, wide = (compare_recipes(constant, random, rows[["text"]], labels, metric="accuracy", confidence=c) for c in (0.5, 0.95))
    # Nadeau and Bengio: 10 folds of 1/4 give a variance 3.5 times that of independent ones; t with 9 degrees at 0.95 and 0.5.
    assert (wide.high - wide.value) / (narrow.high - narrow.value) == pytest.approx(2.2622 / 0.7027, rel=1e-3)
    same = compare_recipes(constant, constant, rows[["text"]], labels, metric="macro_f1", confidence=0.95)
    assert (same.low, same.value, same.high) == (0, 0, 0)


@pytest.mark.parametrize(
    ("found", "champion", "result"),
    [
        (RecipeDifference("macro_f1", 0.01, -0.01, 0.03, 10, 200), {}, "passed"),
        (RecipeDifference("macro_f1", 0.01, -0.05, 0.07, 10, 200), {}, "unknown"),
        (RecipeDifference("macro_f1", 0.01, -0.05, 0.07, 10, 200), {"too_few": "refuse"}, "failed"),
        (RecipeDifference("macro_f1", 0.01, -0.05, 0.07, 10, 200), {"too_few": "accept"}, "passed"),
        (RecipeDifference("macro_f1", -0.03, -0.05, 0.03, 10, 200), {"too_few": "accept"}, "failed"),
        (RecipeDifference("macro_f1", 0.03, 0.01, 0.05, 10, 200), {"superior": True}, "passed"),
        (RecipeDifference("macro_f1", 0.01, -0.01, 0.03, 10, 200), {"superior": True}, "unknown"),
        (RecipeDifference("macro_f1", 0.0, -0.01, 0.01, 10, 200), {"superior": True}, "failed"),
        ("comments.csv is not what it was trained on", {}, "unknown"),
    ],
)
def test_recipes_are_held_to_the_margin_of_the_criteria(found: Any, champion: Any, result: str) -> None:
    criteria = Criteria.model_validate({"champion": champion})
    evidence = RowEvidence(familiar=90, new_to_both=np.array([True, False]), recipes=found)
    [finding] = recipes(evidence, criteria, 3, 100)
    assert finding.result == result
    assert finding.passed or "version 3" in finding.message


def test_no_row_that_is_new_to_both_and_no_data_is_a_refusal() -> None:
    evidence = RowEvidence(familiar=100, new_to_both=np.zeros(5, dtype=bool), recipes="the project names no data")
    [finding] = recipes(evidence, Criteria(), 3, 100)
    assert (finding.result, "learned all 100 held-out rows" in finding.message) == ("failed", True)
    assert list(recipes(RowEvidence(), Criteria(), 3, 100)) == []
