"""The evidence about the rows themselves: who knows them, under which label, and how the model does on the behaviour suite."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from passerelle.criteria import Champion
from passerelle.gate.behaviour import BehaviourResult, behaviour_of
from passerelle.gate.gate_inputs import AllRows, GateInputs
from passerelle.gate.held_out import VersionFiles
from passerelle.gate.judged_rows import JudgedRows
from passerelle.gate.known_rows import Contradictions, Known, against_reference, contradictions, labels_known, labels_of_rows
from passerelle.gate.recipes import RecipeDifference, compare_recipes
from passerelle.gate.reference import ReferenceRows, near_to
from passerelle.gate.row_hashes import row_hashes
from passerelle.model.classifier import load_pipeline
from passerelle.model.flavors import FLAVORS
from passerelle.model.mlmodel import describe
from passerelle.registry.client import Registry


@dataclass(frozen=True)
class RowEvidence:
    """What is known of the rows.

    Attributes:
        familiar: Held-out rows that the champion learned from.
        new_to_both: Which judged rows neither learned from, where they are too few to be judged by alone; None where they are not.
        recipes: Both recipes compared by cross-validation, where too few rows are new to both; why they are not, where they are not.
        contradictions: Of each source that knows some of the challenger's rows.
        reference: Digest of the reference that was judged by; None without one.
        reference_unseen: Why nobody can tell whether training saw near-duplicates of the reference; None where somebody can.
        reference_labels: Labels of the reference that the model does not have, each with the one that is probably meant.
        left_out: Rows that the training left out as near-duplicates of the reference.
        behaviour: How the challenger does on the behaviour suite; None without one, or where the model takes no single text.
        suite_columns: Columns of the model where the suite does not fit them.
    """

    familiar: int = 0
    new_to_both: NDArray[np.bool_] | None = None
    recipes: RecipeDifference | str | None = None
    contradictions: tuple[Contradictions, ...] = ()
    reference: str | None = None
    reference_unseen: str | None = None
    reference_labels: tuple[tuple[str, str | None], ...] = ()
    left_out: int = 0
    behaviour: BehaviourResult | None = None
    suite_columns: tuple[str, ...] = ()


UNKNOWN = RowEvidence()


@dataclass(frozen=True)
class Parties:
    """The two versions, and what they are judged by.

    Attributes:
        theirs: The version in production; None without one, or where it is not compared.
        folder: That holds their files, below `challenger` and `champion`.
        rule: By which figure recipes are compared, and how surely.
        progress: Called with a line for what takes time.
    """

    registry: Registry
    ours: VersionFiles
    theirs: VersionFiles | None
    folder: Path
    inputs: GateInputs
    rule: Champion
    progress: Callable[[str], None]


def row_evidence(
    of: Parties, found: RowEvidence, rows: JudgedRows, masks: tuple[NDArray[np.bool_], NDArray[np.bool_]], classes: Sequence[str]
) -> RowEvidence:
    """Return what is known of the rows beside what was found of the reference.

    Args:
        masks: Which rows the champion learned from, and which the models are judged by.
        classes: Of the challenger.
    """
    familiar, judged = masks
    found = _with_unknown_labels(_with_behaviour(found, of.ours, of.inputs), rows, classes)
    found = replace(found, familiar=int(familiar.sum()), contradictions=_contradictions(of))
    if of.theirs is None or not (familiar & judged).any():
        return found
    return replace(found, new_to_both=~familiar[judged], recipes=_recipes(of, of.theirs))


def _contradictions(of: Parties) -> tuple[Contradictions, ...]:
    """Return where the challenger's rows have another label than the champion's, or than the reference."""
    if of.ours.adoption is not None or (of.theirs is None and of.inputs.reference is None):
        return ()
    known, found = labels_known(of.registry, of.ours, of.folder / "challenger"), []
    if of.theirs is not None:
        of_champion = labels_known(of.registry, of.theirs, of.folder / "champion")
        found.append(contradictions(known, of_champion, source=f"version {of.theirs.ref.version}"))
    if of.inputs.reference is not None:
        found.append(_of_reference(known, of.inputs.reference, of.folder / "challenger"))
    return tuple(each for each in found if each.shared)


def _of_reference(known: Known, reference: ReferenceRows, folder: Path) -> Contradictions:
    """Return the contradictions with the reference: of rows that are both there, and of those that the training left out."""
    rows = reference.rows
    found = contradictions(
        known, labels_of_rows(rows.records, rows.table[rows.labels[0]]), source=rows.source.removeprefix("the reference ")
    )
    before = against_reference(folder)
    if before is None or before.digest != reference.digest:
        return found
    return replace(found, shared=found.shared + before.left_out, contradicting=found.contradicting + before.contradicting)


def reference_evidence(of: Parties, rows: JudgedRows, learned: frozenset[str] | None) -> tuple[RowEvidence, NDArray[np.bool_]]:
    """Return what is known of the reference, and which of its rows are near-duplicates of rows that the challenger learned from."""
    reference, near = of.inputs.reference, np.zeros(len(rows.records), dtype=np.bool_)
    if reference is None:
        return UNKNOWN, near
    before = against_reference(of.folder / "challenger")
    seen = before is not None and before.digest == reference.digest
    data = "the training left near-duplicates out" if seen else of.inputs.training_rows()
    if isinstance(data, AllRows) and learned is not None:
        mine = np.isin(np.array(row_hashes(data.records)), list(learned))
        near = near_to(rows.records, data.records[mine])
    unseen = None if seen or isinstance(data, AllRows) or learned is None else data
    left_out = before.left_out if before and seen else 0
    return RowEvidence(reference=reference.digest, reference_unseen=unseen, left_out=left_out), near


def _with_unknown_labels(evidence: RowEvidence, rows: JudgedRows, classes: Sequence[str]) -> RowEvidence:
    """Return the evidence with the labels of the reference that are no classes of the model."""
    if evidence.reference is None:
        return evidence
    labels = sorted(set(map(str, rows.answers.iloc[:, 0])) - set(classes))
    meant = tuple((label, next(iter(difflib.get_close_matches(label, classes, n=1)), None)) for label in labels)
    return replace(evidence, reference_labels=meant)


def _recipes(of: Parties, theirs: VersionFiles) -> RecipeDifference | str:
    """Return the difference between both recipes; why there is none, where there is none."""
    ours, rule = of.ours, of.rule
    if ours.adoption is not None or theirs.adoption is not None:
        return "an adopted model has no recipe"
    data = of.inputs.training_rows()
    if isinstance(data, str):
        return data
    champion, challenger = (load_pipeline(files.folder, describe(files.folder)) for files in (theirs, ours))
    try:
        of.progress(f"few rows are new to both: cross-validating both recipes on {len(data.records)} rows")
        confidence = 1 - 2 * rule.level
        return compare_recipes(
            champion, challenger, data.records, data.labels, metric=rule.metric, confidence=confidence, progress=of.progress
        )
    except Exception as error:  # noqa: BLE001 - whatever a pipeline of a team raises
        return f"a recipe cannot be fitted again ({type(error).__name__})"


def _with_behaviour(evidence: RowEvidence, files: VersionFiles, inputs: GateInputs) -> RowEvidence:
    """Return the evidence with how the model does on the suite, where there is one and the model takes a text."""
    if inputs.suite is None:
        return evidence
    description = describe(files.folder)
    columns = [column.name for column in description.columns]
    if files.adoption is not None or len(columns) != 1 or description.columns[0].type != "string":
        return replace(evidence, suite_columns=tuple(columns))
    pipeline, flavor = load_pipeline(files.folder, description), FLAVORS[description.flavor]
    classes = [str(name) for name in flavor.classes(pipeline)]

    def predict(texts: Sequence[str]) -> list[str]:
        labels, _ = flavor.predict(pipeline, columns, [{columns[0]: text} for text in texts])
        return [str(label) for label in labels]

    return replace(evidence, behaviour=behaviour_of(inputs.suite, classes, predict))
