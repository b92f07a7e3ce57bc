"""Findings of single checks, as tests compare them."""

from __future__ import annotations

from typing import Any

from passerelle.criteria import Criteria
from passerelle.gate.evidence import Evidence
from passerelle.gate.finding import Finding
from tests.unit.gate.verdicts import contender, evidence, scores


def rules(**content: Any) -> Criteria:
    return Criteria.model_validate(content)


def only(found: Any) -> Finding:
    (finding,) = found
    assert isinstance(finding, Finding)
    return finding


def told(finding: Finding) -> tuple[bool, str, str, str]:
    return finding.passed, finding.value, finding.limit, finding.message


def said(truth: list[int], given: list[int]) -> Evidence:
    return evidence(contender(2, scores(truth, given)))
