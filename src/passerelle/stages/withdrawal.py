"""Versions that a rollback took out of production: somebody may put one back for a reason, and no job that promotes the best does."""

from __future__ import annotations

from collections.abc import Sequence

from passerelle.errors import CriteriaError
from passerelle.model.ledger_entry import Entry
from passerelle.names import ModelVersionRef
from passerelle.registry.chain import stood
from passerelle.stages.acceptance import Reasons


def withdrawal_of(entries: Sequence[Entry], ref: ModelVersionRef) -> Entry | None:
    """Return the rollback that took the version out of production; None where none did, or it was put back since.

    One that was made anew, of another run, has the number of the one that was taken out, and nothing else.

    Args:
        entries: Of the ledger, the oldest first.
    """
    carried_out = [*stood(entries)]
    runs = {each.run_id for each in carried_out if each.to_version == ref.version}
    if runs and ref.run_id not in runs:
        return None
    last = next((each for each in reversed(carried_out) if ref.version in (each.from_version, each.to_version)), None)
    return last if last is not None and last.what == "rollback" and last.to_version != ref.version else None


def check_not_withdrawn(entries: Sequence[Entry], ref: ModelVersionRef, reasons: Reasons) -> None:
    """Check that no rollback took the version out of production, or that it is put back for a reason.

    Raises:
        CriteriaError: One did; says whose. To a flow, the version in production stays: a result, and no fault.
    """
    found = withdrawal_of(entries, ref)
    if found is not None and not reasons.accepts("withdrawn"):
        why = f": {found.reason}" if found.reason else ""
        message = f"{found.who} took {ref} out of production at {found.when[:19]} ({found.what}{why})"
        hint = f"passerelle promote --version {ref.version} {reasons.options('withdrawn')}\npasserelle history"
        raise CriteriaError(f"{message}; to put it back, {reasons.lacking}", hint=hint)
