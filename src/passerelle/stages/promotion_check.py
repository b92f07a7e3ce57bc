"""Whether a version may be built, made an image of, deployed or served here: in production, only one that the ledger put there."""

from __future__ import annotations

from pathlib import Path

from passerelle.bentos.store import Store
from passerelle.model.promotion_proof import check_promoted
from passerelle.names import BentoTag
from passerelle.stages.context import Context


def check_promoted_here(context: Context, tag: BentoTag, *, production: bool | None = None) -> None:
    """Check, in production, that the ledger put the model of a bento or bento model there; a missing one is for others to report.

    Args:
        production: Whether it is to run in production; by default what the context says.

    Raises:
        RefusedError, IntegrityError: As `check_promoted`.
    """
    model = Store(context.store).model(tag) if (production or (production is None and not context.development)) else None
    if model is not None:
        check_promoted(Path(model.path), context.signing)
