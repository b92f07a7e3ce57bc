"""The evidence of the gate: both models, loaded and scored by the gate itself on rows that the challenger did not learn from."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from passerelle.criteria import Champion
from passerelle.errors import TRAIN_AGAIN, IntegrityError, NotFoundError
from passerelle.gate.class_names import ClassNames
from passerelle.gate.gate_inputs import NOTHING, GateInputs
from passerelle.gate.held_out import VersionFiles, download_version, train_hashes
from passerelle.gate.hosted import Prepare, as_it_is, cost_of, hosted, outputs_of
from passerelle.gate.judged_rows import JudgedRows, judged_rows
from passerelle.gate.labelled_rows import LabelledRows, dictionaries
from passerelle.gate.latency import RECORDS, latency, what_answers
from passerelle.gate.loading_cost import loading_memory_mib
from passerelle.gate.promote_hints import with_rows
from passerelle.gate.row_evidence import UNKNOWN, Parties, RowEvidence, reference_evidence, row_evidence
from passerelle.gate.row_hashes import row_hashes
from passerelle.gate.scorer_agreement import ScorerAgreement, scorer_agreement
from passerelle.gate.scores import Scores
from passerelle.gate.task_evidence import TaskEvidence, task_evidence
from passerelle.model.answer import answer_of
from passerelle.model.classifier import load_pipeline, pipeline_rows
from passerelle.model.flavors import FLAVORS
from passerelle.model.mlmodel import ModelDescription, describe
from passerelle.model.record import Column
from passerelle.names import ModelVersionRef
from passerelle.registry.client import Registry
from passerelle.scorer.scorer import CompiledScorer

_TRAIN = "passerelle train --again; passerelle register"
_CLASSIFICATION = "classification"
DEFAULT_RULE = Champion()


@dataclass(frozen=True)
class Contender:
    """One of the two models.

    Attributes:
        version: Of the registered model.
        scores: On the rows that are judged by.
        columns: Of its signature.
        libraries: That it was made with, by name.
        train_hashes: Of the rows that it learned from; None where its run does not say.
        memory_mib: Of a process that holds what answers in production, with its libraries.
        adopted: Whether it was adopted.
    """

    version: int
    candidate: str
    scores: Scores
    columns: tuple[Column, ...]
    libraries: Mapping[str, str]
    train_hashes: frozenset[str] | None
    memory_mib: float
    adopted: bool = False

    @property
    def figures(self) -> Mapping[str, float]:
        """The figures that criteria may limit."""
        return {**self.scores.figures, "memory_mib": self.memory_mib}


@dataclass(frozen=True)
class Evidence:
    """What is judged.

    Attributes:
        records: The rows that are judged by, without their labels.
        champion: The version in production; None before the first promotion, and where it takes other columns than these rows have.
        champion_columns: Of its signature, if there is one in production.
        champion_version: The version in production, whether it is scored or not.
        champion_says: Whether the run of the one in production still says what it learned from.
        held_out: Rows that the challenger's training held out, or that were given.
        leaked: Rows among them that the challenger learned from all the same.
        serving: Version of each library in the serving image; empty where that is not known.
        rows: What the records came from, where a training did not hold them out.
        scorer: How what answers in production differs from the pipeline; None of an adopted challenger.
        of_rows: What is known of the rows themselves.
    """

    registered_model: str
    records: pd.DataFrame
    challenger: Contender
    champion: Contender | None
    champion_columns: tuple[Column, ...] | None
    held_out: int
    leaked: int
    serving: Mapping[str, str]
    champion_version: int | None = None
    champion_says: bool = True
    rows: JudgedRows | None = None
    scorer: ScorerAgreement | None = None
    of_rows: RowEvidence = UNKNOWN


def gather(
    registry: Registry,
    challenger: ModelVersionRef,
    champion: ModelVersionRef | None,
    *,
    serving: Mapping[str, str],
    least_rows: int,
    given: LabelledRows | None = None,
    prepare: Prepare = as_it_is,
    inputs: GateInputs = NOTHING,
    rule: Champion = DEFAULT_RULE,
    progress: Callable[[str], None] = lambda _: None,
) -> Evidence | TaskEvidence:
    """Download, load and score both, on given rows or the reference where there are some.

    Args:
        inputs: What the project gives to judge by.
        rule: By which figure recipes are compared, and how surely.
        progress: Called with a line for what takes time.

    Raises:
        As `download_version`, `judged_rows` and `hosted`; NotFoundError where the challenger's training logged no hashes.
    """
    if given is None and inputs.reference is not None:
        given = inputs.reference.rows
    with tempfile.TemporaryDirectory(prefix="passerelle-gate-") as temporary:
        ours = download_version(registry, challenger, (folder := Path(temporary)) / "challenger")
        theirs = download_version(registry, champion, folder / "champion") if champion else None
        rows = judged_rows(registry, ours, theirs, folder, given)
        learned = train_hashes(registry, ours, folder / "challenger")
        if rows is None or ours.task != _CLASSIFICATION:
            return task_evidence(registry, ours, theirs, rows, hashes=learned, prepare=prepare)
        _check_known(ours, learned)
        how: Any = {"serving": serving, "least_rows": least_rows, "prepare": prepare}
        return _of_classifiers(Parties(registry, ours, theirs, folder, inputs, rule, progress), rows, learned, **how)


def _of_classifiers(
    of: Parties, rows: JudgedRows, learned: frozenset[str] | None, *, serving: Mapping[str, str], least_rows: int, prepare: Prepare
) -> Evidence:
    ours, theirs, folder = of.ours, of.theirs, of.folder
    known = train_hashes(of.registry, theirs, folder / "champion") if theirs else None
    found, near = reference_evidence(of, rows, learned)
    leaked, familiar = _among(rows.records, learned) | near, _among(rows.records, known)
    judged = _judged(leaked, familiar, least_rows)
    part, compared = rows.part(judged), theirs if theirs is not None and _fits(theirs, rows) else None
    of.progress(f"scoring {ours.ref} on {len(part.records)} rows")
    challenger = _contender(of.registry, ours, part, learned, prepare)
    if compared:
        of.progress(f"scoring {compared.ref}, which is in production")
    return Evidence(
        ours.ref.registered_model,
        part.records,
        challenger,
        _contender(of.registry, compared, part, known, prepare) if compared else None,
        describe(theirs.folder).columns if theirs else None,
        len(rows.records),
        int(leaked.sum()),
        serving,
        theirs.ref.version if theirs else None,
        champion_says=theirs is None or known is not None,
        rows=None if ours.adoption is None and rows.given is None else rows,
        scorer=None if ours.adoption else scorer_agreement(ours, rows.records),
        of_rows=row_evidence(replace(of, theirs=compared), found, rows, (familiar, judged), challenger.scores.classes),
    )


def _check_known(files: VersionFiles, learned: frozenset[str] | None) -> None:
    if learned is None and files.adoption is None:
        raise NotFoundError(f"the run of {files.ref} does not say what it learned from", hint=_TRAIN)


def _fits(files: VersionFiles, rows: JudgedRows) -> bool:
    """Return whether the champion can be scored on the rows."""
    return files.task == _CLASSIFICATION and {column.name for column in describe(files.folder).columns} <= set(rows.records.columns)


def _judged(leaked: NDArray[np.bool_], familiar: NDArray[np.bool_], least_rows: int) -> NDArray[np.bool_]:
    """Return which rows count."""
    # Rows that the champion was trained on favour it, but too few rows have no significance.
    unknown = ~leaked & ~familiar
    judged = unknown if int(unknown.sum()) >= max(least_rows, len(leaked) // 2) else ~leaked
    return judged if judged.any() else np.ones(len(leaked), dtype=np.bool_)


def _among(records: pd.DataFrame, hashes: frozenset[str] | None) -> NDArray[np.bool_]:
    return np.isin(np.array(row_hashes(records)), list(hashes)) if hashes else np.zeros(len(records), dtype=np.bool_)


def _contender(registry: Registry, files: VersionFiles, rows: JudgedRows, hashes: frozenset[str] | None, prepare: Prepare) -> Contender:
    path = files.folder
    description = describe(path)
    table = rows.records.reindex(columns=description.column_names)
    scored = _hosted_scores(files, table, rows, prepare) if files.adoption else _pipeline_scores(files, description, table, rows)
    candidate = registry.run(files.ref.run_id).name
    columns, libraries, adopted = description.columns, description.libraries, files.adoption is not None
    return Contender(files.ref.version, candidate, scored[0], columns, libraries, hashes, scored[1], adopted)


def _pipeline_scores(files: VersionFiles, description: ModelDescription, table: pd.DataFrame, rows: JudgedRows) -> tuple[Scores, float]:
    pipeline = load_pipeline(files.folder, description)
    with _predicting(files):
        names = ClassNames.of(FLAVORS[description.flavor].classes(pipeline), {})
        classes = tuple(map(str, names.classes))
        records = [{str(name): value for name, value in record.items()} for record in table.to_dict(orient="records")]
        found = pipeline_rows(pipeline, description.column_names, records, flavor=description.flavor)
        predicted = np.asarray([answer_of(row, classes).label for row in found], dtype=str)
        probabilities = None if found[0].probabilities is None else np.asarray([row.probabilities for row in found], dtype=np.float64)
        _check_outputs(predicted, probabilities, len(table), len(classes))
        scorer = what_answers(pipeline, files.golden)
        cost = latency(pipeline, table.head(RECORDS), flavor=description.flavor, scorer=scorer)
    memory_mib = loading_memory_mib(files.folder, scorer if isinstance(scorer, CompiledScorer) else None, records[0])
    return Scores(rows.truth(names), predicted, probabilities, classes, cost.p95_ms, files.size_bytes), memory_mib


def _hosted_scores(files: VersionFiles, table: pd.DataFrame, rows: JudgedRows, prepare: Prepare) -> tuple[Scores, float]:
    """Return the scores of an adopted classifier; no library of the model is loaded here."""
    with hosted(files, prepare) as model, _predicting(files):
        names = ClassNames.of(model.classes, files.adoption.labels if files.adoption else {})
        truth, records = rows.truth(names), dictionaries(table)
        outputs = outputs_of(model, records)
        places = [names.place_of(value, typed=True) for value in outputs.values]
        if None in places:
            raise ValueError("a label that is not among the classes")
        predicted = np.asarray([names.texts[place] for place in places if place is not None], dtype=str)
        probabilities = None if outputs.probabilities is None else np.asarray(outputs.probabilities, dtype=np.float64)
        _check_outputs(predicted, probabilities, len(records), len(names.classes))
        cost, memory_mib = cost_of(model, records)
    # The figures take classes in the order of the alphabet, and a model may have others: 2 comes before 10.
    order = sorted(range(len(names.texts)), key=names.texts.__getitem__)
    probabilities = None if probabilities is None else probabilities[:, order]
    return Scores(truth, predicted, probabilities, tuple(sorted(names.texts)), cost.p95_ms, files.size_bytes), memory_mib


@contextmanager
def _predicting(files: VersionFiles) -> Iterator[None]:
    ref = files.ref
    try:
        yield
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RuntimeError) as error:
        # The message of scikit-learn quotes the record.
        message = f"the model {ref} does not predict the held-out rows: {type(error).__name__}"
        raise IntegrityError(message, hint=with_rows(ref) if files.adoption else TRAIN_AGAIN) from None


def _check_outputs(predicted: NDArray[np.str_], probabilities: NDArray[np.float64] | None, rows: int, classes: int) -> None:
    if predicted.shape != (rows,) or not (probabilities is None or _are_probabilities(probabilities, rows, classes)):
        raise ValueError("not a label and a probability of each class for each row")


def _are_probabilities(given: NDArray[np.float64], rows: int, classes: int) -> bool:
    return given.shape == (rows, classes) and bool(np.isfinite(given).all())
