"""Whether a version may be built, made an image of, deployed or served here: in production, only one that the ledger put there."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from passerelle.bentos.store import Store
from passerelle.errors import IntegrityError, OutsideError
from passerelle.model.promotion_proof import check_promoted
from passerelle.names import REGISTERED_MODEL_LABEL, BentoTag
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


def check_deployable(context: Context, tag: BentoTag, *, production: bool | None = None) -> None:
    """Check the same, and that the ledger was not put back to an earlier state, as far as MLflow and S3 can be asked.

    A bento that was named can be deployed while they do not answer: the entry in its model is what counts then.

    Raises:
        RefusedError: As `check_promoted_here`.
        IntegrityError: Likewise; or the ledger is broken, or was put back.
    """
    check_promoted_here(context, tag, production=production)
    in_production = production or (production is None and not context.development)
    model = Store(context.store).model(tag) if in_production and context.server is not None else None
    name = model.info.labels.get(REGISTERED_MODEL_LABEL) if model is not None else None
    if name is None:
        return
    with suppress(OutsideError):
        # MLflow takes a second to import, and not every stage that checks a bento needs it.
        from passerelle.registry.verified import put_back, verified_ledger  # noqa: PLC0415

        entries = verified_ledger(context.registry, name, context.signing).entries
        problem = put_back(context.registry, name, entries)
        if problem is not None:
            raise IntegrityError(f"{tag} is not deployed in production: {problem}", hint="passerelle history --verify")
