"""What is in production by the ledger and gone from MLflow, or another version by now, and the command that goes on from there."""

from __future__ import annotations

from passerelle.names import ModelVersionRef
from passerelle.registry.chain import promotion_of, standing_entry
from passerelle.registry.production import Standing
from passerelle.registry.verified import History
from passerelle.stages.champion import difference_from


def missing_champion(found: History, now: Standing) -> tuple[str, str] | None:
    """Return what is wrong with the version that the ledger has in production, and the command; None where MLflow has it as it was.

    Args:
        found: The ledger; a person may go on from one of which MLflow knows nothing.
    """
    entry = standing_entry(found.entries)
    if entry is None:
        return None
    identity = now.identities.get(entry.to_version)
    problem: str | None = f"version {entry.to_version}, which entry {entry.number} of the ledger has in production, is gone from MLflow"
    if identity is not None:
        problem = difference_from(entry, *identity)
    return (problem, way_on(found, now)) if problem else None


def way_on(found: History, now: Standing) -> str:
    """Return the command that puts a version into production in the place of one that is gone: the previous one, or the newest."""
    previous = now.identities.get(now.previous or 0)
    if not found.findings and now.previous and previous:
        run_id, digest = previous
        if promotion_of(found.entries, ModelVersionRef(found.registered_model, now.previous, run_id), digest) is not None:
            return f"passerelle rollback --version {now.previous}"
    if not now.stages:
        return "passerelle register; passerelle promote --accept champion-gone --reason REASON"
    name = "ledger" if found.unanchored else "champion-gone"
    return f"passerelle promote --version {max(now.stages)} --accept {name} --reason REASON"
