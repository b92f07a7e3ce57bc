"""The ledger of promotions and rollbacks, and whether it is as it was written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from passerelle.errors import IntegrityError
from passerelle.names import ModelVersionRef
from passerelle.registry.anchors import removed_entries
from passerelle.registry.chain import LedgerFault, standing_entry
from passerelle.registry.look_record import look_faults
from passerelle.registry.verified import History, history
from passerelle.stages.context import Context, stage
from passerelle.stages.origin_differences import differences_of_ledger


@stage
def run(context: Context, *, verify: bool = False) -> History:
    """Return the ledger, with what its verification found where that was asked for, of the versions that were in production too.

    Raises:
        OutsideError: MLflow or S3 does not answer.
    """
    registry = context.registry
    found = history(registry, registry.settings.registered_model, context.signing)
    if not verify:
        return replace(found, verified=False, findings=())
    differences, notes = differences_of_ledger(registry, found.registered_model, found.entries)
    now = standing_entry(found.entries)
    champion = ModelVersionRef(found.registered_model, now.to_version, now.run_id) if now and now.run_id else None
    looks = look_faults(registry, found.registered_model, found.entries, champion, context.signing)
    removed = tuple(removed_entries(registry, found.registered_model, found.entries))
    if removed and history(registry, found.registered_model).entries != found.entries:
        return run(context, verify=True)  # somebody moved production after the entries were read
    return replace(found, differences=differences, notes=notes, looks=tuple(looks), removed=removed)


def refuse_broken(registered_model: str, findings: Sequence[LedgerFault]) -> None:
    """Check that the verification found nothing wrong with the ledger.

    Raises:
        IntegrityError: It found entries that were changed, removed or inserted.
    """
    if findings:
        found = f"the ledger of '{registered_model}' is not as passerelle wrote it: {len(findings)} faults"
        way_out = "check who may write below ledger/ in the bucket, then restore a backup into an empty stack"
        raise IntegrityError(f"{found}; {way_out}", hint="passerelle restore FILE")


def refuse_differences(found: History) -> None:
    """Check that versions that were in production are what their manifests record, and looks and entries those that runs know.

    Raises:
        IntegrityError: Something is, looks at test sets are not those that were taken, or runs know of other entries.
    """
    if found.removed:
        message = f"the ledger of '{found.registered_model}' was put back to an earlier state, or forged: runs know other entries"
        raise IntegrityError(f"{message}; check who may write below ledger/ and to MLflow", hint="passerelle restore FILE")
    if found.differences:
        message = (
            f"{len(found.differences)} things that are said of versions of '{found.registered_model}' are not what their manifests record"
        )
        raise IntegrityError(f"{message}: somebody edited them", hint="passerelle trace VERSION\npasserelle rollback --version N")
    if found.looks:
        message = f"the looks at the test sets of '{found.registered_model}' are not those that were taken: somebody wins tries back"
        raise IntegrityError(f"{message}; check who may write below ledger/ in the bucket", hint="passerelle train --refresh-held-out")
