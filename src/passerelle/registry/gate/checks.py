"""The checks, each of which finds one kind of bad model. Pure: evidence and criteria in, findings out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from passerelle.registry.criteria import Criteria
from passerelle.registry.gate.evidence import Evidence
from passerelle.registry.gate.paired import Difference
from passerelle.registry.gate.rows import normalise
from passerelle.registry.gate.slices import slices_of

#: A model's files hold arrays of these; another minor version may read them otherwise.
_LIBRARIES = ("scikit-learn", "numpy", "scipy", "skops")
_SWAPPED = 0.5
_LABEL_TOLD = 0.6
_LABEL_TIMES = 4.0
_ROWS_TO_TELL = 3


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: Its name, in the report, in criteria and on the command line.
        passed: Whether it found nothing wrong.
        value: What was measured, as people read it.
        limit: What was asked for.
        message: One sentence on what is wrong; empty when nothing is.
        waived: By whom and why, if it was.
    """

    check: str
    passed: bool
    value: str
    limit: str
    message: str = ""
    waived: str = ""


def all_findings(evidence: Evidence, criteria: Criteria, difference: Difference | None) -> tuple[Finding, ...]:
    """Return every check's finding, the ones that undermine all others first."""
    return (
        leakage(evidence, criteria),
        label_in_text(evidence),
        signature(evidence),
        classes(evidence),
        libraries(evidence),
        training_rows(evidence, criteria),
        never_predicted(evidence),
        swapped(evidence),
        *limits(evidence, criteria),
        *class_floors(evidence, criteria),
        *slice_floors(evidence, criteria),
        *([against_champion(evidence, criteria, difference)] if difference else []),
    )


def leakage(evidence: Evidence, criteria: Criteria) -> Finding:
    """Held-out rows are among those that the challenger learned from."""
    left = evidence.held_out - evidence.leaked
    value = f"{evidence.leaked} of {evidence.held_out}"
    if evidence.leaked:
        message = f"{evidence.leaked} of {evidence.held_out} held-out rows were learned from: the figures say nothing"
        return Finding("leakage", False, value, "0", message)
    if left < criteria.held_out.rows:
        return Finding("leakage", False, value, "0", f"only {left} held-out rows are left, {criteria.held_out.rows} are asked for")
    return Finding("leakage", True, value, "0")


def label_in_text(evidence: Evidence) -> Finding:
    """The records hold the very words of their labels, far more often than those of other labels."""
    texts = [column.name for column in evidence.challenger.columns if column.type == "string" and column.name in evidence.records]
    if not texts:
        return Finding("label_in_text", True, "—", "—")
    truth = evidence.challenger.scores.truth
    joined = [f" {normalise(text)} " for text in evidence.records[texts].astype(str).agg(" ".join, axis=1)]
    words = {label: f" {normalise(label)} " for label in evidence.challenger.scores.labels}
    own = float(np.mean([words[label] in text for label, text in zip(truth, joined, strict=True)]))
    others = [words[other] in text for label, text in zip(truth, joined, strict=True) for other in words if other != label]
    chance = float(np.mean(others)) if others else 0.0
    told = own > _LABEL_TOLD and own > _LABEL_TIMES * chance
    message = f"{own:.0%} of the records hold the words of their own label, {chance:.0%} those of another: the label leaked into the text"
    return Finding("label_in_text", not told, f"{own:.0%}", f"≤ {_LABEL_TOLD:.0%}", message if told else "")


def signature(evidence: Evidence) -> Finding:
    """The challenger takes other columns than the champion: clients would break."""
    ours = _columns(evidence.challenger.columns)
    theirs = _columns(evidence.champion_columns) if evidence.champion_columns is not None else ours
    message = f"the signature is {ours}, the champion's is {theirs}: clients would break"
    return Finding("signature", ours == theirs, ours, theirs, message if ours != theirs else "")


def classes(evidence: Evidence) -> Finding:
    """The challenger gives other labels than the champion, or lacks one of the held-out rows."""
    ours = set(evidence.challenger.scores.classes)
    wanted = set(evidence.champion.scores.classes) if evidence.champion else set(evidence.challenger.scores.truth.tolist())
    missing, new = sorted(wanted - ours), sorted(ours - wanted) if evidence.champion else []
    parts = [f"lacks {', '.join(missing)}" if missing else "", f"adds {', '.join(new)}" if new else ""]
    message = "the set of labels " + " and ".join(part for part in parts if part)
    return Finding("classes", not (missing or new), str(len(ours)), str(len(wanted)), message if missing or new else "")


def libraries(evidence: Evidence) -> Finding:
    """The model was made by a library version that the serving image does not have."""
    made, there = evidence.challenger.libraries, evidence.serving
    wrong = [name for name in _LIBRARIES if name in made and name in there and _minor(made[name]) != _minor(there[name])]
    message = "; ".join(f"made with {name} {made[name]}, the serving image has {there[name]}" for name in wrong)
    value = ", ".join(f"{name} {made[name]}" for name in _LIBRARIES if name in made)
    return Finding("libraries", not wrong, value, ", ".join(f"{name} {there[name]}" for name in _LIBRARIES if name in there), message)


def training_rows(evidence: Evidence, criteria: Criteria) -> Finding:
    """The challenger learned from far fewer rows than the champion."""
    ours = len(evidence.challenger.train_hashes or ())
    theirs = len(evidence.champion.train_hashes or ()) if evidence.champion else 0
    least = int(theirs * criteria.champion.share_of_rows)
    message = f"it learned from {ours} rows, the champion from {theirs}: at least {least} are asked for"
    return Finding("training_rows", ours >= least, str(ours), f"≥ {least}", message if ours < least else "")


def never_predicted(evidence: Evidence) -> Finding:
    """A class that has rows is never given."""
    scores = evidence.challenger.scores
    support = {label: int(np.sum(scores.truth == label)) for label in sorted(set(scores.truth.tolist()))}
    never = [label for label, rows in support.items() if rows >= _ROWS_TO_TELL and label not in scores.said]
    message = f"never predicted: {', '.join(never)}"
    return Finding("never_predicted", not never, str(len(never)), "0", message if never else "")


def swapped(evidence: Evidence) -> Finding:
    """Most rows of two classes get each other's label."""
    scores = evidence.challenger.scores
    counts = scores.confusion.astype(float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    enough = counts.sum(axis=1) >= _ROWS_TO_TELL
    both = (shares > _SWAPPED) & (shares.T > _SWAPPED) & np.outer(enough, enough)
    pairs = [f"« {scores.labels[a]} » and « {scores.labels[b]} »" for a, b in zip(*np.nonzero(np.triu(both, 1)), strict=True)]
    message = f"swapped: {'; '.join(pairs)} get each other's label in most rows"
    return Finding("swapped", not pairs, str(len(pairs)), "0", message if pairs else "")


def limits(evidence: Evidence, criteria: Criteria) -> Iterator[Finding]:
    """A figure on the held-out rows is beyond its limit."""
    figures = evidence.challenger.figures
    yield from (_limit(name, figures.get(name), limit, at_least=True) for name, limit in criteria.held_out.minimum.items())
    yield from (_limit(name, figures.get(name), limit, at_least=False) for name, limit in criteria.held_out.maximum.items())


def class_floors(evidence: Evidence, criteria: Criteria) -> Iterator[Finding]:
    """A class is under its floor: its own where the criteria name it, else the one of all that have enough rows to tell."""
    scores, rule = evidence.challenger.scores, criteria.held_out
    told = {label: f1 for label, f1 in scores.class_f1.items() if int(np.sum(scores.truth == label)) >= rule.class_rows}
    floors = {**(dict.fromkeys(told, rule.class_f1) if rule.class_f1 else {}), **rule.classes}
    if not floors:
        return
    margins = {label: scores.class_f1[label] - floor for label, floor in floors.items() if label in scores.class_f1}
    unknown = [f"the criteria ask {floors[label]:g} of « {label} », which no held-out row has" for label in floors.keys() - margins.keys()]
    low = [
        f"F1 of « {label} » is {scores.class_f1[label]:.3f}, at least {floors[label]:g} is asked for"
        for label in margins
        if margins[label] < 0
    ]
    weakest = min(margins, key=margins.__getitem__) if margins else None
    value, limit = (f"{scores.class_f1[weakest]:.3f}", f"≥ {floors[weakest]:g}") if weakest is not None else ("—", "—")
    yield Finding("class_f1", not (low or unknown), value, limit, "; ".join([*low, *sorted(unknown)]))


def slice_floors(evidence: Evidence, criteria: Criteria) -> Iterator[Finding]:
    """The accuracy on a slice that has enough rows to tell is under its floor."""
    scores, held = evidence.challenger.scores, slices_of(evidence.records)
    for name, floor in criteria.held_out.slices.items():
        parts = (
            {f"the label « {label} »": scores.truth == label for label in scores.labels}
            if name == "label"
            else {f"the slice {name}": held.get(name)}
        )
        told = {
            part: (scores.part(rows).figures["accuracy"], int(rows.sum()))
            for part, rows in parts.items()
            if rows is not None and int(rows.sum()) >= criteria.held_out.class_rows
        }
        if told:
            weakest = min(told, key=lambda part: told[part][0])
            value, rows_told = told[weakest]
            message = f"accuracy on {weakest} ({rows_told} rows) is {value:.3f}, at least {floor:g} is asked for"
            yield Finding(f"slice {name}", value >= floor, f"{value:.3f}", f"≥ {floor:g}", message if value < floor else "")


def against_champion(evidence: Evidence, criteria: Criteria, difference: Difference) -> Finding:
    """The challenger is worse than the champion beyond the margin, or not better where it must be."""
    rule = criteria.champion
    compared = difference.low if rule.margin_on == "interval" else difference.value
    interval = f"[{difference.low:+.3f}, {difference.high:+.3f}]"
    told = f"{difference.metric} differs by {difference.value:+.3f} {interval}, McNemar p {difference.p_value:.2g}"
    limit = "> 0" if rule.must_be_better else f"≥ -{rule.not_worse_by:g}"
    version = evidence.champion.version if evidence.champion else 0
    if compared < -rule.not_worse_by:
        return Finding(
            "champion", False, f"{difference.value:+.3f}", limit, f"worse than version {version}, which is in production: {told}"
        )
    if rule.must_be_better and difference.value <= 0:
        return Finding(
            "champion", False, f"{difference.value:+.3f}", limit, f"not better than version {version}, which is in production: {told}"
        )
    return Finding("champion", True, f"{difference.value:+.3f}", limit)


def _limit(name: str, value: float | None, limit: float, *, at_least: bool) -> Finding:
    sign = "≥" if at_least else "≤"
    if value is None:
        return Finding(name, False, "—", f"{sign} {limit:g}", f"{name} cannot be measured: the model gives no probabilities")
    good = value >= limit if at_least else value <= limit
    measured, asked = in_units(name, value), in_units(name, limit)
    message = f"{name} is {measured}, {'at least' if at_least else 'at most'} {asked} is asked for"
    return Finding(name, good, measured, f"{sign} {asked}", "" if good else message)


def in_units(name: str, value: float) -> str:
    """Return a figure as people read it, with the unit that its name tells."""
    units = {"size_bytes": f"{value / 1e6:.1f} MB", "latency_p95_ms": f"{value:.1f} ms", "memory_mib": f"{value:.0f} MiB"}
    return units.get(name, f"{value:.3f}")


def _columns(columns: object) -> str:
    return ", ".join(f"{each.name}: {each.type}{'' if each.required else '?'}" for each in columns)  # type: ignore[attr-defined]


def _minor(version: str) -> tuple[str, ...]:
    return tuple(version.split(".")[:2])
