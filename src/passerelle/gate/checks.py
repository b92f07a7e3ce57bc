"""The checks, each of which finds one kind of bad model. Pure: evidence and criteria in, findings out."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from difflib import get_close_matches

import numpy as np

from passerelle.criteria import Criteria
from passerelle.gate.comparison import limit_of, next_to_champion
from passerelle.gate.evidence import Evidence
from passerelle.gate.finding import Finding, finding_of, message_of
from passerelle.gate.messages import Message
from passerelle.gate.paired import Difference
from passerelle.gate.row_checks import row_findings, with_meant
from passerelle.gate.row_hashes import normalise
from passerelle.gate.scorer_agreement import scorer
from passerelle.gate.slices import slices_of
from passerelle.model.record import Column

#: A model's files hold arrays of these; another minor version may read them differently.
_LIBRARIES = ("scikit-learn", "numpy", "scipy", "skops")
_SWAPPED = 0.5
_LABEL_TOLD = 0.6
_LABEL_TIMES = 4.0
_ROWS_TO_TELL = 3
#: A model that gives a class to three in ten of its rows gives it to none of ten rows in 3 % of samples.
_ROWS_OF_NEVER = 10
#: Figures of every model, and of a classifier.
COSTS = frozenset({"latency_p95_ms", "size_bytes", "memory_mib"})
OF_CLASSIFIERS = COSTS | {"accuracy", "macro_f1", "log_loss", "calibration_error"}


def all_findings(evidence: Evidence, criteria: Criteria, difference: Difference | None) -> tuple[Finding, ...]:
    """Return every check's finding, first those that invalidate the others."""
    return (
        leakage(evidence, criteria),
        scorer(evidence.scorer),
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
        *against_champion(evidence, criteria, difference),
        *row_findings(evidence.of_rows, criteria, champion=evidence.champion_version, held_out=evidence.held_out),
    )


def leakage(evidence: Evidence, criteria: Criteria) -> Finding:
    """Held-out rows are among those that the challenger learned from."""
    leaked, rows, minimum = evidence.leaked, evidence.held_out, criteria.held_out.rows
    return leakage_of(leaked, rows, minimum, known=evidence.challenger.train_hashes is not None)


def leakage_of(leaked: int, rows: int, minimum: int, *, known: bool) -> Finding:
    """Return the finding about rows that the challenger learned from.

    Args:
        minimum: Rows that must be left.
        known: Whether anybody knows what it learned from.
    """
    problems: list[Message] = []
    if leaked:
        problems = [message_of("leaked", rows=leaked, of=rows)]
    elif rows < minimum:
        problems = [message_of("few_rows", rows=rows, asked=minimum)]
    elif not known:
        return Finding("leakage", False, "—", "0", (message_of("leakage_unknown"),), unknown=True)
    return finding_of("leakage", f"{leaked} / {rows}", "0", problems)


def label_in_text(evidence: Evidence) -> Finding:
    """The records hold the words of their own labels, far more often than those of other labels."""
    texts = [column.name for column in evidence.challenger.columns if column.type == "string" and column.name in evidence.records]
    if not texts:
        return Finding("label_in_text", True, "—", "—")
    truth = evidence.challenger.scores.truth
    joined = [f" {normalise(text)} " for text in evidence.records[texts].astype(str).agg(" ".join, axis=1)]
    words = {label: f" {normalise(label)} " for label in evidence.challenger.scores.labels}
    own = float(np.mean([words[label] in text for label, text in zip(truth, joined, strict=True)]))
    others = [words[other] in text for label, text in zip(truth, joined, strict=True) for other in words if other != label]
    chance = float(np.mean(others)) if others else 0.0
    leaks = own > _LABEL_TOLD and own > _LABEL_TIMES * chance
    problems = [message_of("label_told", own=f"{own:.0%}", chance=f"{chance:.0%}")] if leaks else []
    return finding_of("label_in_text", f"{own:.0%}", f"≤ {_LABEL_TOLD:.0%}", problems)


def signature(evidence: Evidence) -> Finding:
    """The challenger takes other columns than the champion: clients would break."""
    return signature_of(evidence.challenger.columns, evidence.champion_columns)


def signature_of(challenger: Sequence[Column], champion: Sequence[Column] | None) -> Finding:
    """Return the finding about the columns of both."""
    ours = _columns(challenger)
    theirs = _columns(champion) if champion is not None else ours
    return finding_of("signature", ours, theirs, [message_of("signature", ours=ours, theirs=theirs)] if ours != theirs else [])


def classes(evidence: Evidence) -> Finding:
    """The challenger gives other labels than the champion, or lacks one of the held-out rows."""
    ours = set(evidence.challenger.scores.classes)
    classes = set(evidence.champion.scores.classes) if evidence.champion else set(evidence.challenger.scores.truth.tolist())
    missing, new = sorted(classes - ours), sorted(ours - classes) if evidence.champion else []
    key = "classes_both" if missing and new else "classes_lacks" if missing else "classes_adds"
    problems = [message_of(key, missing=", ".join(missing), new=", ".join(new))] if missing or new else []
    return finding_of("classes", str(len(ours)), str(len(classes)), problems)


def libraries(evidence: Evidence) -> Finding:
    """The model was made by a library version that the serving image does not have, or that is not known of one of the two."""
    if evidence.challenger.adopted:
        return own_libraries(evidence.challenger.libraries)
    trained, there = ({name: of[name] for name in _LIBRARIES if of.get(name)} for of in (evidence.challenger.libraries, evidence.serving))
    wrong = [name for name in trained if name in there and _minor(trained[name]) != _minor(there[name])]
    unknown = [name for name in trained if name not in there]
    problems = [message_of("library", name=name, made=trained[name], there=there[name]) for name in wrong]
    problems += [message_of("library_unknown", names=", ".join(unknown))] if unknown else []
    problems += [] if trained else [message_of("library_unstated")]
    value, limit = (", ".join(f"{name} {version}" for name, version in of.items()) or "—" for of in (trained, there))
    return finding_of("libraries", value, limit, problems)


def own_libraries(libraries: Mapping[str, str]) -> Finding:
    """Return the finding about an adopted model, whose image gets the environment that was locked for it."""
    return Finding("libraries", True, ", ".join(f"{name} {version}" for name, version in libraries.items()) or "—", "—")


def training_rows(evidence: Evidence, criteria: Criteria) -> Finding:
    """The challenger learned from far fewer rows than the champion, or it is unknown how many those were."""
    ours, champion = len(evidence.challenger.train_hashes or ()), evidence.champion
    if any(each and each.adopted and each.train_hashes is None for each in (evidence.challenger, champion)):
        return Finding("training_rows", False, str(ours or "—"), "—", (message_of("rows_of_adopted"),), unknown=True)
    if not evidence.champion_says or (champion and champion.train_hashes is None):
        return finding_of("training_rows", str(ours), "—", [message_of("rows_unknown", version=_in_production(evidence))])
    theirs = len(champion.train_hashes or ()) if champion else 0
    least = int(theirs * criteria.champion.share_of_rows)
    problems = [message_of("rows_fewer", ours=ours, theirs=theirs, least=least)] if ours < least else []
    return finding_of("training_rows", str(ours), f"≥ {least}", problems)


def never_predicted(evidence: Evidence) -> Finding:
    """A class that has rows enough to tell is never predicted."""
    scores = evidence.challenger.scores
    support = {label: int(np.sum(scores.truth == label)) for label in sorted(set(scores.truth.tolist()))}
    never = [label for label, rows in support.items() if rows >= _ROWS_OF_NEVER and label not in scores.predicted]
    return finding_of("never_predicted", str(len(never)), "0", [message_of("never", labels=", ".join(never))] if never else [])


def swapped(evidence: Evidence) -> Finding:
    """Most rows of two classes get each other's label."""
    scores = evidence.challenger.scores
    counts = scores.confusion.astype(float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    enough = counts.sum(axis=1) >= _ROWS_TO_TELL
    both = (shares > _SWAPPED) & (shares.T > _SWAPPED) & np.outer(enough, enough)
    pairs = [f"« {scores.labels[a]} » ↔ « {scores.labels[b]} »" for a, b in zip(*np.nonzero(np.triu(both, 1)), strict=True)]
    return finding_of("swapped", str(len(pairs)), "0", [message_of("swapped", pairs=", ".join(pairs))] if pairs else [])


def limits(evidence: Evidence, criteria: Criteria) -> Iterator[Finding]:
    """A figure on the held-out rows is beyond its limit."""
    figures = evidence.challenger.figures
    yield from limits_of(figures, criteria, OF_CLASSIFIERS)


def limits_of(figures: Mapping[str, float], criteria: Criteria, known: Container[str]) -> Iterator[Finding]:
    """Yield the finding about each limit.

    Args:
        known: Figures that a model of this task has; the limits of others are not asked for.
    """
    minimum, maximum = criteria.held_out.minimum, criteria.held_out.maximum
    yield from (_limit(name, figures.get(name), limit, at_least=True) for name, limit in minimum.items() if name in known)
    yield from (_limit(name, figures.get(name), limit, at_least=False) for name, limit in maximum.items() if name in known)


def class_floors(evidence: Evidence, criteria: Criteria) -> Iterator[Finding]:
    """A class is under its floor: its own where the criteria name it, else the one of all that have enough rows to tell."""
    scores, rule = evidence.challenger.scores, criteria.held_out
    large = {label: f1 for label, f1 in scores.class_f1.items() if int(np.sum(scores.truth == label)) >= rule.class_rows}
    floors = {**(dict.fromkeys(large, rule.class_f1) if rule.class_f1 else {}), **rule.classes}
    if not floors:
        return
    margins = {label: scores.class_f1[label] - floor for label, floor in floors.items() if label in scores.class_f1}
    low = [
        message_of("class_low", label=label, measured=f"{scores.class_f1[label]:.3f}", asked=f"{floors[label]:g}")
        for label in margins
        if margins[label] < 0
    ]
    lacking = [
        (label, next(iter(get_close_matches(label, sorted(scores.class_f1), n=1)), None))
        for label in sorted(floors.keys() - margins.keys())
    ]
    unknown = [message_of("class_unknown", label=with_meant([each]), asked=f"{floors[each[0]]:g}") for each in lacking]
    weakest = min(margins, key=margins.__getitem__) if margins else None
    value, limit = (f"{scores.class_f1[weakest]:.3f}", f"≥ {floors[weakest]:g}") if weakest is not None else ("—", "—")
    yield finding_of("class_f1", value, limit, [*low, *unknown])


def slice_floors(evidence: Evidence, criteria: Criteria) -> Iterator[Finding]:
    """The accuracy on a slice that has enough rows to tell is under its floor."""
    scores, slices = evidence.challenger.scores, slices_of(evidence.records)
    for name, floor in criteria.held_out.slices.items():
        parts = {label: scores.truth == label for label in scores.labels} if name == "label" else {name: slices.get(name)}
        large = {
            part: (scores.part(rows).figures["accuracy"], int(rows.sum()))
            for part, rows in parts.items()
            if rows is not None and int(rows.sum()) >= criteria.held_out.class_rows
        }
        if large:
            weakest = min(large, key=lambda part: large[part][0])
            value, rows_told = large[weakest]
            key, of = ("label_low", "label") if name == "label" else ("slice_low", "slice")
            problem = message_of(key, **{of: weakest}, rows=rows_told, measured=f"{value:.3f}", asked=f"{floor:g}")
            yield finding_of(f"slice {name}", f"{value:.3f}", f"≥ {floor:g}", [problem] if value < floor else [])


def against_champion(evidence: Evidence, criteria: Criteria, difference: Difference | None) -> Iterator[Finding]:
    """The challenger is worse than the champion beyond the margin, not better where it must be, or cannot be compared."""
    rule, version = criteria.champion, _in_production(evidence)
    if difference is not None:
        yield next_to_champion(difference, rule, version)
    elif evidence.of_rows.recipes is None and evidence.champion_columns is not None:  # that of the recipes is a finding of its own
        yield finding_of("champion", "—", limit_of(rule), [message_of("unscored", version=version)])


def _limit(name: str, value: float | None, limit: float, *, at_least: bool) -> Finding:
    minimum = in_units(name, limit)
    sign = f"{'≥' if at_least else '≤'} {minimum}"
    if value is None:
        return finding_of(name, "—", sign, [message_of("unmeasured", figure=name)])
    measured = in_units(name, value)
    problem = message_of("too_low" if at_least else "too_high", figure=name, measured=measured, asked=minimum)
    return finding_of(name, measured, sign, [] if within_limit(value, limit, at_least=at_least) else [problem])


def within_limit(value: float, limit: float, *, at_least: bool) -> bool:
    """Return whether a figure keeps to its limit, which is itself allowed; NaN never does."""
    return value >= limit if at_least else value <= limit


def _in_production(evidence: Evidence) -> int:
    return evidence.champion.version if evidence.champion else evidence.champion_version or 0


def in_units(name: str, value: float) -> str:
    """Return a figure as people read it, with the unit that its name tells."""
    units = {"size_bytes": f"{value / 1e6:.1f} MB", "latency_p95_ms": f"{value:.2f} ms", "memory_mib": f"{value:.0f} MiB"}
    return units.get(name, f"{value:.3f}")


def _columns(columns: Sequence[Column]) -> str:
    return ", ".join(f"{each.name}: {each.type}{'' if each.required else '?'}" for each in columns)


def _minor(version: str) -> tuple[str, ...]:
    return tuple(version.split(".")[:2])
