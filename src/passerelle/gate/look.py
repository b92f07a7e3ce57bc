"""The look that a verdict takes at its rows, counted among those that were taken before."""

from __future__ import annotations

import hashlib

import pandas as pd

from passerelle.criteria import Criteria
from passerelle.gate.evidence import Evidence
from passerelle.gate.row_hashes import row_hashes
from passerelle.gate.task_evidence import TaskEvidence
from passerelle.names import ModelVersionRef
from passerelle.registry import ledger as ledgers
from passerelle.registry.client import Registry
from passerelle.registry.looks import Look, LookTaken, RowSet, take_look
from passerelle.settings import SigningSettings

_SKETCH, _BEGINNING = 128, slice(7, 19)


def look_at(
    registry: Registry,
    evidence: Evidence | TaskEvidence,
    ref: ModelVersionRef,
    champion: ModelVersionRef | None,
    criteria: Criteria,
    *,
    who: str,
    dry_run: bool,
    signing: SigningSettings | None = None,
) -> LookTaken | None:
    """Return the look that this verdict takes, once it is counted; None where there are no rows.

    Raises:
        As `take_look`.
    """
    if isinstance(evidence, Evidence):
        rows = row_set(evidence.records, evidence.challenger.scores.truth.tolist())
    elif evidence.rows is not None:
        answers = evidence.rows.answers.astype(str).agg(" ".join, axis=1)
        rows = row_set(evidence.rows.records, answers.tolist())
    else:
        return None
    look = Look(0, "", ledgers.now(), who, ref.run_id, criteria.digest, rows)
    return take_look(registry, look, ref.registered_model, champion, dry_run=dry_run, signing=signing)


def row_set(records: pd.DataFrame, answers: list[str]) -> RowSet:
    """Return what recognises these rows again, however they are ordered."""
    hashes = row_hashes(records)
    lines = sorted(f"{row} {answer}" for row, answer in zip(hashes, answers, strict=True))
    digest = "sha256:" + hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()
    distinct = sorted(set(hashes))
    return RowSet(digest, len(distinct), tuple(row[_BEGINNING] for row in distinct[:_SKETCH]))
