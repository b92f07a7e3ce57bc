"""A ledger that lacks a move of which a run knows: it was put back to an earlier state, and a person alone goes on from it."""

from __future__ import annotations

from collections.abc import Sequence

from passerelle.errors import IntegrityError
from passerelle.model.ledger_entry import Entry
from passerelle.names import ModelVersionRef
from passerelle.registry.client import Registry
from passerelle.registry.verified import put_back
from passerelle.stages.acceptance import Reasons


def check_moves(registry: Registry, entries: Sequence[Entry], ref: ModelVersionRef, what: str) -> None:
    """Check that no run knows of a move that the ledger lacks.

    Args:
        what: What is not done otherwise, such as `is not imported`.

    Raises:
        IntegrityError: One does.
    """
    problem = put_back(registry, ref.registered_model, entries)
    if problem is not None:
        raise IntegrityError(f"{ref} {what}: {problem}", hint="passerelle history --verify")


def check_moves_or_accepted(registry: Registry, entries: Sequence[Entry], ref: ModelVersionRef, reasons: Reasons) -> None:
    """Check the same of a promotion, which would otherwise begin anew next to a version that was in production before, or to none.

    Raises:
        IntegrityError: A run knows of a move that the ledger lacks, and no person goes on for a reason.
    """
    problem = put_back(registry, ref.registered_model, entries)
    if problem is not None and not reasons.accepts("ledger"):
        hint = f"passerelle history --verify\npasserelle promote --version {ref.version} {reasons.options('ledger')}"
        raise IntegrityError(f"{problem}; to go on, {reasons.lacking}", hint=hint)
