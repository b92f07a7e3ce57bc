"""The gate's pure parts on plain data: scores, intervals, checks."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from passerelle.criteria import Champion, Criteria, HeldOut
from passerelle.criteria_file import read_criteria, schema
from passerelle.errors import UsageError
from passerelle.gate.paired import paired_difference
from passerelle.gate.row_hashes import normalise, row_hashes
from passerelle.gate.slices import slices_of
from passerelle.model.record import Column
from tests.unit.gate.verdicts import CLASSES, contender, evidence, scores, verdict

ROOT = Path(__file__).resolve().parents[3]
TRUTH = [0] * 30 + [1] * 20 + [2] * 10
PERFECT = contender(2, scores(TRUTH, TRUTH, sure=0.95))
HALF = contender(1, scores(TRUTH, [0] * 40 + [1] * 20))


def failed(of: Any, **criteria: Any) -> set[str]:
    return {finding.check for finding in verdict(of, criteria).findings if not finding.passed}


def test_a_good_model_fails_nothing() -> None:
    assert failed(evidence(PERFECT, HALF), held_out={"minimum": {"accuracy": 0.9}, "class_f1": 0.9}) == set()


@pytest.mark.parametrize(
    ("of", "criteria", "check"),
    [
        (evidence(PERFECT, leaked=1), {}, "leakage"),
        (evidence(PERFECT), {"held_out": {"rows": 61}}, "leakage"),
        (evidence(contender(2, PERFECT.scores, libraries={"scikit-learn": "1.8.0"})), {}, "libraries"),
        (evidence(contender(2, PERFECT.scores, train_hashes=frozenset("ab")), HALF), {}, "training_rows"),
        (evidence(PERFECT, contender(1, HALF.scores, columns=(Column("comment", "string"),))), {}, "signature"),
        (evidence(PERFECT, HALF, champion_columns=(Column("text", "string", False),)), {}, "signature"),
        (evidence(PERFECT, champion_columns=(Column("comment", "string"),), champion_version=1), {}, "champion"),
        (evidence(PERFECT, contender(1, HALF.scores, train_hashes=None)), {}, "training_rows"),
        (evidence(PERFECT, champion_says=False, champion_version=1), {}, "training_rows"),
        (evidence(PERFECT, serving={}), {}, "libraries"),
        (evidence(PERFECT, serving={"scikit-learn": "1.9.1"}), {}, "libraries"),
        (evidence(contender(2, PERFECT.scores, libraries={"scikit-learn": "", "pandas": "3.1.1"})), {}, "libraries"),
        (evidence(contender(2, replace(PERFECT.scores, classes=CLASSES[:2], probabilities=None)), HALF), {}, "classes"),
        (evidence(contender(2, replace(PERFECT.scores, classes=CLASSES[:2], probabilities=None))), {}, "classes"),
        (evidence(contender(2, replace(PERFECT.scores, classes=(*CLASSES, "Autre"), probabilities=None)), HALF), {}, "classes"),
        (evidence(contender(2, scores(TRUTH, [0] * 30 + [1] * 30))), {}, "never_predicted"),
        (evidence(contender(2, scores(TRUTH, [1] * 30 + [0] * 20 + [2] * 10))), {}, "swapped"),
        (evidence(HALF), {"held_out": {"minimum": {"accuracy": 0.99}}}, "accuracy"),
        (evidence(PERFECT), {"held_out": {"maximum": {"calibration_error": 0.04}}}, "calibration_error"),
        (evidence(PERFECT), {"held_out": {"maximum": {"memory_mib": 19}}}, "memory_mib"),
        (evidence(HALF), {"held_out": {"class_f1": 0.5}}, "class_f1"),
        (evidence(HALF), {"held_out": {"classes": {CLASSES[2]: 0.1}}}, "class_f1"),
        (evidence(PERFECT), {"held_out": {"classes": {"Voirrie": 0.1}}}, "class_f1"),
        (evidence(HALF), {"held_out": {"slices": {"short": 0.99}}}, "slice short"),
        (evidence(HALF), {"held_out": {"slices": {"label": 0.3}}}, "slice label"),
        (evidence(HALF, PERFECT), {}, "champion"),
        (evidence(PERFECT, contender(1, PERFECT.scores)), {}, "champion"),
    ],
)
def test_each_check_finds_what_it_is_for(of: Any, criteria: dict[str, Any], check: str) -> None:
    assert check in failed(of, **criteria)


def test_what_is_wrong_is_said_by_name() -> None:
    def said(of: Any, check: str) -> str:
        return next(finding.message for finding in verdict(of, {}).findings if finding.check == check)

    other = replace(PERFECT.scores, classes=(*CLASSES[:2], "Autre"), probabilities=None)
    assert said(evidence(contender(2, other), HALF), "classes") == f"the set of labels lacks {CLASSES[2]} and adds Autre"
    assert (
        said(evidence(PERFECT, serving={"numpy": "2.4.6"}), "libraries") == "the version of scikit-learn in the serving image is not known"
    )
    unstated = contender(2, PERFECT.scores, libraries={})
    assert said(evidence(unstated), "libraries") == "the model does not say which versions of its libraries it was made with"
    gone = evidence(PERFECT, champion_says=False, champion_version=4)
    assert said(gone, "training_rows").startswith("the run of version 4 no longer says what it learned from")


def test_a_library_that_the_model_does_not_state_is_not_judged() -> None:
    of = evidence(contender(2, PERFECT.scores, libraries={"scikit-learn": "1.9.1"}), serving={"scikit-learn": "1.9.0", "numpy": "1.0.0"})
    assert "libraries" not in failed(of)


def test_a_new_label_is_no_fault_where_nothing_is_in_production() -> None:
    more = replace(PERFECT.scores, classes=(*CLASSES, "Autre"), probabilities=None)
    assert "classes" not in failed(evidence(contender(2, more)))


def test_a_named_class_has_a_floor_of_its_own() -> None:
    floors = {"class_f1": 0.5, "classes": dict.fromkeys(CLASSES, 0.0)}
    assert "class_f1" in failed(evidence(HALF), held_out={"class_f1": 0.5})
    assert "class_f1" not in failed(evidence(HALF), held_out=floors)


def test_one_that_is_as_good_passes_where_it_need_not_be_better() -> None:
    assert failed(evidence(PERFECT, contender(1, PERFECT.scores)), champion={"margin": 1}) == set()


def test_the_lower_end_of_the_interval_decides_and_not_the_value() -> None:
    truth = np.arange(60) % 3
    wrong = (truth + 1) % 3
    old = np.where(np.arange(60) < 10, wrong, truth)
    new = np.where((np.arange(60) >= 5) & (np.arange(60) < 15), wrong, truth)
    of = evidence(contender(2, scores(truth.tolist(), new.tolist())), contender(1, scores(truth.tolist(), old.tolist())))
    rule = {"metric": "accuracy", "too_few": "refuse"}
    assert "champion" in failed(of, champion=rule | {"margin": 0.03})
    assert "champion" not in failed(of, champion=rule | {"margin": 0.2})
    assert "champion" not in failed(of, champion=rule | {"margin": 0.03, "too_few": "accept"})


def test_the_label_in_the_text_is_found_and_a_usual_word_is_not() -> None:
    names = np.array(CLASSES)[TRUTH]
    told = pd.DataFrame({"text": [f"{name} : depuis trois mois" for name in names]})
    assert "label_in_text" in failed(evidence(PERFECT, records=told))
    usual = pd.DataFrame({"text": ["un rendez-vous, s'il vous plaît"] * len(TRUTH)})
    assert "label_in_text" not in failed(evidence(PERFECT, records=usual))


def test_the_difference_is_scikit_learns_and_mcnemars() -> None:
    random = np.random.default_rng(3)
    names = np.array(CLASSES)
    truth, old, new = (names[random.integers(0, 3, 80)] for _ in range(3))
    rule, groups = Champion(resamples=300), np.arange(80)
    found = paired_difference(truth, old, new, groups, rule, level=0.05)
    assert found.value == pytest.approx(f1_score(truth, new, average="macro") - f1_score(truth, old, average="macro"))
    assert found.low < found.value < found.high
    assert (found.only_challenger, found.only_champion) == (
        int(np.sum((new == truth) & (old != truth))),
        int(np.sum((old == truth) & (new != truth))),
    )
    assert paired_difference(truth, old, new, groups, rule, level=0.05) == found
    assert found.p_value is None, "McNemar's test is about accuracy"
    few = paired_difference(truth[:20], old[:20], new[:20], groups[:20], Champion(metric="accuracy", resamples=100), level=0.05)
    exact = binomtest(few.only_challenger, few.only_challenger + few.only_champion, 0.5).pvalue
    assert few.p_value == pytest.approx(exact)


def test_calibration_error_is_the_gap_between_what_is_stated_and_what_is_right() -> None:
    half_right = scores([0] * 10 + [1] * 10, [0] * 20, sure=0.9)
    assert half_right.figures["calibration_error"] == pytest.approx(0.4)


def test_rows_are_the_same_whatever_accents_capitals_and_space() -> None:
    records = pd.DataFrame({"text": ["Été  à PARIS !", "ete a paris", "hiver à Paris"]})
    first, second, third = row_hashes(records)
    assert first == second != third
    assert normalise("???") == "???"


def test_slices_are_told_by_the_text() -> None:
    records = pd.DataFrame({"text": ["OÙ EN EST MON DOSSIER", "ou en est mon dossier, " * 5, "réponse attendue " * 9]})
    found = {name: rows.tolist() for name, rows in slices_of(records).items()}
    assert found == {"short": [True, False, False], "capitals": [True, False, False], "no_accents": [False, True, False]}
    assert slices_of(pd.DataFrame({"size": [1.0]})) == {}


def test_the_schema_for_editors_is_the_one_of_the_criteria() -> None:
    assert (ROOT / "training" / "criteria.schema.json").read_text(encoding="utf-8") == schema()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("held_out: {minimun: {accuracy: 0.4}}", "did you mean minimum"),
        ("held_out: {minimum: {acuracy: 0.4}}", "held_out.minimum"),
        ("held_out: {minimum: {accuracy: 1.4}}", "less than or equal to 1"),
        ("champion: {superiour: true}", "did you mean superior"),
        ("champion: {margin: -1}", "greater than or equal to 0"),
        ("champion: {level: 0}", "champion.level"),
        ("champion: {too_few: refusal}", "champion.too_few"),
        ("champion: {not_worse_by: -1}", "champion.margin: .* greater than or equal to 0"),
        ("champion: {not_worse_by: 0.1, margin: 0.1}", "the former name of margin"),
        ("champion: {must_be_better: true, not_worse_by: 0.03}", "in place of must_be_better, not_worse_by, .* write margin: 0.03, level"),
        ("champion: {margin_on: value}", "in place of margin_on, .* write margin: 0.02"),
        ("champion: {confidence: 0.9}", "in place of confidence"),
        ("waivable: [{check: size_bytes, by: []}]", "waivable"),
        ("waivable: [{check: siez_bytes, by: [marie]}]", "did you mean size_bytes"),
        ("held_out: {slices: {shrot: 0.2}}", "held_out.slices"),
        ("held_out: {classes: {Voirie: 1.2}}", "held_out.classes.Voirie"),
        ("ranking: {primary: cv_accuracy, tie_breaks: [size_bytes, cv_accuracy]}", "cannot break its own ties"),
        ("ranking: {tie_breaks: [size_bytes, size_bytes]}", "cannot break its own ties"),
        ("ranking: {tie_breaks: [size_bytes, latency_p95_ms]}", "ranking.tie_breaks: latency_p95_ms differs with each training"),
        ("ranking: {primary: fit_seconds}", "ranking.primary: fit_seconds differs with each training"),
        ("ranking: {primary: cv_acuracy}", "did you mean cv_accuracy"),
        ("maximum: {size_bytes: 2000}\nheld_out: {maximum: {size_bytes: 1000}}", "would then refuse more than 1000"),
        ("minimum: {cv_accuracy: 0.9}\nmaximum: {size_bytes: -1}", "no model can meet size_bytes"),
        ("held_out: {maximum: {latency_p95_ms: -1}}", "held_out: no model can meet latency_p95_ms: -1"),
        ("held_out: {maximum: {calibration_error: 25}}", "held_out: no model can meet calibration_error: 25"),
        ("held_out: {maximum: {size_bytes: .nan}}", "held_out.maximum.size_bytes: .* finite"),
        ("held_out: {maximum: {memory_mib: .inf}}", "held_out.maximum.memory_mib: .* finite"),
        ("held_out: {minimum: {accuracy: .nan}}", "held_out.minimum.accuracy"),
        ("maximum: {size_bytes: .inf}", "maximum.size_bytes: .* finite"),
        ("ranking: {tie_within: .inf}", "ranking.tie_within: .* finite"),
        ("held_out:\n  rows: 3\nminimum: {}\nheld_out:\n  rows: 4", "held_out is given twice, in line 1 and in line 4"),
        ("held_out: {rows: 3, rows: 4}", "rows is given twice, in line 1"),
    ],
)
def test_criteria_that_cannot_be_meant_are_refused(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "criteria.yaml"
    path.write_text(content)
    with pytest.raises(UsageError, match=said):
        read_criteria(path)


def test_the_documented_example_is_read_and_names_every_key(tmp_path: Path) -> None:
    block = next(
        text for text in re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "04-promote.md").read_text(), re.DOTALL) if "held_out" in text
    )
    path = tmp_path / "criteria.yaml"
    path.write_text(block)
    found = read_criteria(path)
    assert found.held_out.model_fields_set == set(HeldOut.model_fields)
    assert found.champion.model_fields_set == set(Champion.model_fields)
    assert set(found.held_out.maximum) == {"calibration_error", "latency_p95_ms", "size_bytes", "memory_mib"}
    assert [each.check for each in found.waivable] == ["size_bytes", "training_rows"]


def test_the_projects_own_criteria_are_read_and_known_by_their_content() -> None:
    criteria = read_criteria(ROOT / "training" / "criteria.yaml")
    assert (criteria.champion.superior, criteria.champion.too_few) == (False, "reason")
    assert criteria.digest != Criteria().digest
