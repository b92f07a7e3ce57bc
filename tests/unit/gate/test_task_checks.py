"""The checks of models that are no classifiers of one label, and what is said where nothing was judged."""

from __future__ import annotations

from html import unescape

import pytest

from passerelle.criteria import Criteria
from passerelle.gate.checks import leakage_of
from passerelle.gate.report import html, markdown
from tests.unit.gate.task_verdicts import compared, regression, task_verdict, unjudged


def results(verdict: object) -> dict[str, str]:
    return {finding.check: finding.result for finding in verdict.findings}  # type: ignore[attr-defined]


def test_without_rows_nothing_is_judged_and_leakage_never_passes() -> None:
    found = task_verdict(unjudged("classification"), {"held_out": {"minimum": {"accuracy": 0.9}, "maximum": {"memory_mib": 512}}})
    assert (found.judged, found.passed, found.failures, found.result) == (False, False, (), "not judged")
    assert results(found) == {"leakage": "unknown", "task": "passed", "signature": "passed", "libraries": "passed", "memory_mib": "passed"}
    assert task_verdict(unjudged("other"), {"held_out": {"maximum": {"memory_mib": 10}}}).result == "refused"


def test_a_challenger_without_rows_is_not_compared() -> None:
    found = task_verdict(unjudged("clustering", champion_version=1, champion_task="regression"))
    assert results(found) == {"leakage": "unknown", "task": "failed", "signature": "passed", "libraries": "passed", "champion": "unknown"}
    assert "its task is clustering, that of the version in production is regression" in found.failures[0].message


def test_the_limits_of_a_regression_count_and_those_of_a_classifier_do_not() -> None:
    found = task_verdict(
        compared(2.0, None), {"held_out": {"minimum": {"accuracy": 0.9, "r2": 0.5}, "maximum": {"mae": 1.5, "log_loss": 1}}}
    )
    assert {check: result for check, result in results(found).items() if check in {"accuracy", "r2", "mae", "log_loss"}} == {
        "r2": "passed", "mae": "failed",
    }  # fmt: skip
    assert found.failures[0].message == "mae is 2.000, at most 1.500 is asked for"
    assert found.judged


@pytest.mark.parametrize(
    ("ours", "theirs", "value", "result"),
    [(1.0, 2.0, "+0.500", "passed"), (2.0, 1.0, "-1.000", "failed"), (1.0, 1.0, "+0.000", "unknown"), (0.0, 0.0, "+0.000", "unknown")],
)
def test_a_regression_is_compared_by_the_share_of_its_error(ours: float, theirs: float, value: str, result: str) -> None:
    found = next(each for each in task_verdict(compared(ours, theirs)).findings if each.check == "champion")
    assert (found.value.partition(" ")[0], found.result) == (value, result)


def test_leakage_is_known_where_the_hashes_are() -> None:
    assert leakage_of(0, 20, 5, known=True).result == "passed"
    assert leakage_of(0, 20, 5, known=False).result == "unknown"
    assert leakage_of(2, 20, 5, known=False).result == "failed"
    assert leakage_of(0, 4, 5, known=False).result == "failed"
    assert regression(1, 0.0).figures["r2"] == 1.0


def test_the_report_says_what_nobody_judged_in_both_languages() -> None:
    for language, words in (
        ("fr", ("Pas jugé", "? inconnu", "il n'y a pas de lignes étiquetées")),
        ("en", ("Not judged", "? unknown", "there are no labelled rows")),
    ):
        page = unescape(html(task_verdict(unjudged("clustering")), language=language))  # type: ignore[arg-type]
        assert all(word in page for word in words)
        assert "McNemar" not in page
        assert words[0] in unescape(markdown(task_verdict(unjudged("clustering")), language=language))  # type: ignore[arg-type]
    page = unescape(html(task_verdict(compared(1.0, 2.0)), language="fr"))
    assert "erreur absolue moyenne" in page
    assert "prices.csv, sha256:0123" in page


def test_the_digest_of_criteria_without_the_new_keys_is_what_it_was() -> None:
    assert Criteria().digest == "sha256:48c89e3f32c83c15104ba94b7523c8f7654dce8d84e62486145c383a0ee291fa"
    assert Criteria.model_validate({"held_out": {"required": False}}).digest != Criteria().digest
