"""The report of a gate run: one self-contained page, and Markdown for a pull request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TypedDict

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from passerelle.gate.checks import in_units
from passerelle.gate.evidence import Contender, Evidence
from passerelle.gate.messages import NAMES, TASKS, decimals
from passerelle.gate.page_spaces import unbroken
from passerelle.gate.report_text import TEXTS, Language
from passerelle.gate.slices import slices_of
from passerelle.gate.verdict import Verdict
from passerelle.model.version_differences import VersionDifferences

_EXAMPLES = 12
_LONGEST_TEXT = 240
_FIGURES_IN_REPORT = (
    "macro_f1", "accuracy", "log_loss", "calibration_error", "mae", "rmse", "r2", "exact_match", "latency_p95_ms", "size_bytes",
    "memory_mib",
)  # fmt: skip
#: What consists of figures, unlike the version of a library or a name.
_OF_FIGURES = re.compile(r"(?:[-+≥≤<>()\[\],;%/ \N{NO-BREAK SPACE}—]|\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?(?![\d.])|MB|MiB|ms)+")
_WITHOUT_LABELS: Mapping[str, object] = {"labelled": False, "per_class": [], "slices": [], "changed": [], "familiar": ""}


@dataclass(frozen=True)
class Changed:
    """A row to which the two models give different labels."""

    text: str
    truth: str
    champion: str
    challenger: str


class FiguresRow(TypedDict):
    """A row of a table of the report: a class or a slice, its rows, and the figure of each model."""

    label: str
    support: int
    values: list[float]


#: What both versions did side by side, production first, by the names of the report's texts.
LiveRows = Mapping[str, tuple[str, str]]


def html(
    verdict: Verdict, *, language: Language = "fr", live: LiveRows | None = None, differences: VersionDifferences | None = None
) -> str:
    """Return the page; it loads nothing from other hosts.

    Args:
        live: Of a version that was a candidate beside the one in production.
        differences: Where both versions label a whole table differently.
    """
    page = _templates().get_template("report.html.j2").render(_content(verdict, language), live=live or {}, differences=differences)
    return unbroken(page, french=language == "fr")


def markdown(
    verdict: Verdict, *, language: Language = "fr", live: LiveRows | None = None, differences: VersionDifferences | None = None
) -> str:
    """Return the verdict, the checks and the figures in Markdown.

    Args:
        live: As of `html`.
        differences: As of `html`.
    """
    return _templates().get_template("report.md.j2").render(_content(verdict, language), live=live or {}, differences=differences)


@cache
def _templates() -> Environment:
    # One for all reports: it keeps what it compiled.
    templates = Environment(
        loader=PackageLoader("passerelle.gate", "."),
        autoescape=select_autoescape(["html.j2"], default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["figure"] = _figure
    templates.filters["units"] = _units
    templates.filters["decimals"] = _decimals
    return templates


def _content(verdict: Verdict, language: Language) -> dict[str, object]:
    evidence = verdict.evidence
    both = [each for each in (evidence.champion, evidence.challenger) if each is not None]
    figures = [name for name in _FIGURES_IN_REPORT if any(name in each.figures for each in both)]
    # Of each output of a model that has several.
    figures += sorted({name for each in both for name in each.figures if "/" in name})
    return {
        "verdict": verdict,
        "evidence": evidence,
        "texts": TEXTS[language],
        "names": NAMES[language],
        "tasks": TASKS[language],
        "language": language,
        "contenders": [("champion" if each is evidence.champion else "challenger", each) for each in both],
        "shown": figures,
        "limits": {finding.check: finding.limit for finding in verdict.findings},
        "source": _source(verdict),
        "worth": verdict.worth(language),
        **(_of_labels(evidence) if isinstance(evidence, Evidence) else _WITHOUT_LABELS),
        "rows": len(evidence.records) if isinstance(evidence, Evidence) else len(evidence.rows.records) if evidence.rows else 0,
    }


def _of_labels(evidence: Evidence) -> dict[str, object]:
    """Return what only a classifier's report shows."""
    both = [each for each in (evidence.champion, evidence.challenger) if each is not None]
    familiar = f"{evidence.of_rows.familiar} / {evidence.held_out}" if evidence.champion else ""
    tables = {"per_class": _per_class(both), "slices": _slices(evidence, both), "changed": _changed(evidence)}
    return {"labelled": True, "familiar": familiar, **tables}


def _source(verdict: Verdict) -> str:
    """Return what the rows came from, where an operator gave them."""
    rows = verdict.rows
    return f"{rows.given.source}, {rows.digest}" if rows and rows.given else ""


def _per_class(both: list[Contender]) -> list[FiguresRow]:
    truth = both[-1].scores.truth
    labels = sorted(both[-1].scores.class_f1)
    return [
        {"label": label, "support": int(np.sum(truth == label)), "values": [each.scores.class_f1.get(label, 0.0) for each in both]}
        for label in labels
    ]


def _slices(evidence: Evidence, both: list[Contender]) -> list[FiguresRow]:
    slices = slices_of(evidence.records)
    return [
        {"label": name, "support": int(rows.sum()), "values": [each.scores.part(rows).figures["accuracy"] for each in both]}
        for name, rows in slices.items()
        if rows.any()
    ]


def _changed(evidence: Evidence) -> list[Changed]:
    if evidence.champion is None:
        return []
    old, new = evidence.champion.scores.predicted, evidence.challenger.scores.predicted
    places = np.flatnonzero(old != new)[:_EXAMPLES].tolist()
    records = [evidence.records.iloc[place].to_dict() for place in places]
    texts = [" · ".join(str(value) for value in record.values()) for record in records]
    short = [text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT].rstrip() + "…" for text in texts]
    truth = evidence.challenger.scores.truth
    return [Changed(text, str(truth[place]), str(old[place]), str(new[place])) for text, place in zip(short, places, strict=True)]


def _figure(value: float | None, name: str) -> str:
    return "—" if value is None else in_units(name, value)


def _units(text: str, language: Language) -> str:
    """Return what a check measured or asked for, with the units and decimals of the language."""
    text = _decimals(text, language) if _OF_FIGURES.fullmatch(text) else text
    return text.replace(" MB", " Mo").replace(" MiB", " Mio") if language == "fr" else text


def _decimals(text: str, language: Language) -> str:
    """Return a text of figures with the decimal sign of the language."""
    return decimals(text) if language == "fr" else text
