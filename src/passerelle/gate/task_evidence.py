"""The evidence about a model that is no classifier of one label, and about any model for which there are no labelled rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from passerelle.errors import IntegrityError
from passerelle.gate.class_names import ClassNames
from passerelle.gate.held_out import VersionFiles
from passerelle.gate.hosted import Prepare, cost_of, hosted, outputs_of
from passerelle.gate.judged_rows import JudgedRows
from passerelle.gate.labelled_rows import dictionaries
from passerelle.gate.row_hashes import row_hashes
from passerelle.gate.task_scores import MEASURED, TaskScores, scores_of_task
from passerelle.model.golden import read_golden
from passerelle.model.mlmodel import describe
from passerelle.model.record import Column
from passerelle.registry.client import Registry


@dataclass(frozen=True)
class TaskContender:
    """One of the two models.

    Attributes:
        version: Of the registered model.
        scores: On the rows; None where there are none.
        columns: Of its signature.
        libraries: Of its own environment, by name.
        train_hashes: Of the rows that it learned from; None where nobody knows.
        costs: Latency, size and memory.
    """

    version: int
    candidate: str
    scores: TaskScores | None
    columns: tuple[Column, ...]
    libraries: Mapping[str, str]
    train_hashes: frozenset[str] | None
    costs: Mapping[str, float]

    @property
    def figures(self) -> Mapping[str, float]:
        """The figures that criteria may limit."""
        return {**(self.scores.figures if self.scores else {}), **self.costs}


@dataclass(frozen=True)
class TaskEvidence:
    """What is judged.

    Attributes:
        task: Of the challenger.
        champion: The version in production; None where there is none, or it is not scored on the same rows.
        champion_columns: Of its signature, if there is one in production.
        champion_version: The version in production, whether it is scored or not.
        champion_task: Of the version in production.
        rows: What both are judged by; None where there is nothing.
        leaked: Rows that the challenger learned from.
    """

    registered_model: str
    task: str
    challenger: TaskContender
    champion: TaskContender | None = None
    champion_columns: tuple[Column, ...] | None = None
    champion_version: int | None = None
    champion_task: str | None = None
    rows: JudgedRows | None = None
    leaked: int = 0


def task_evidence(
    registry: Registry,
    ours: VersionFiles,
    theirs: VersionFiles | None,
    rows: JudgedRows | None,
    *,
    hashes: frozenset[str] | None,
    prepare: Prepare,
) -> TaskEvidence:
    """Score the models on the rows, if there are any; of a clustering or another model, only its costs are measured.

    Raises:
        DataError: The right answers are none of this task.
        IntegrityError: A model does not predict the rows.
        OutsideError: As `hosted`.
    """
    judged = rows if ours.task in MEASURED and rows is not None and rows.given is not None else None
    challenger = _contender(registry, ours, judged, hashes=hashes, prepare=prepare)
    comparable = judged and theirs and theirs.adoption and theirs.task == ours.task and _fits(theirs, judged)
    champion = _contender(registry, theirs, judged, hashes=None, prepare=prepare) if comparable and theirs else None
    leaked = sum(each in (hashes or ()) for each in row_hashes(judged.records)) if judged else 0
    return TaskEvidence(
        ours.ref.registered_model,
        ours.task,
        challenger,
        champion,
        describe(theirs.folder).columns if theirs else None,
        theirs.ref.version if theirs else None,
        theirs.task if theirs else None,
        judged,
        leaked,
    )


def _fits(files: VersionFiles, rows: JudgedRows) -> bool:
    return {column.name for column in describe(files.folder).columns} <= set(rows.records.columns)


def _contender(
    registry: Registry, files: VersionFiles, rows: JudgedRows | None, *, hashes: frozenset[str] | None, prepare: Prepare
) -> TaskContender:
    description = describe(files.folder)
    records = _golden_inputs(files) if rows is None else dictionaries(rows.records.reindex(columns=description.column_names))
    with hosted(files, prepare) as model:
        try:
            values = outputs_of(model, records).values
            names = ClassNames.of(model.classes, files.adoption.labels if files.adoption else {})
            scores = _scores(files.task, rows, values, names)
            cost, memory_mib = cost_of(model, records)
        except (ValueError, TypeError, LookupError, ArithmeticError) as error:
            # Its message may quote the record.
            message = (
                f"the model {files.ref} does not predict {'the held-out rows' if rows else 'its golden inputs'}: {type(error).__name__}"
            )
            again = f"passerelle adopt models:/{files.ref.registered_model}/{files.ref.version}"
            raise IntegrityError(message, hint=again) from None
    costs = {"latency_p95_ms": cost.p95_ms, "size_bytes": files.size_bytes, "memory_mib": memory_mib}
    candidate = registry.run(files.ref.run_id).name
    return TaskContender(files.ref.version, candidate, scores, description.columns, description.libraries, hashes, costs)


def _scores(task: str, rows: JudgedRows | None, values: Sequence[object], names: ClassNames) -> TaskScores | None:
    return scores_of_task(task, rows.given, rows.answers, values, names) if rows and rows.given else None


def _golden_inputs(files: VersionFiles) -> Sequence[Mapping[str, object]]:
    return read_golden(files.golden).inputs if files.golden else ()
