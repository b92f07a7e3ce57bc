"""Move alias and stage together, the ledger first; undo all of it when a step fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from passerelle.errors import BusyError, PasserelleError
from passerelle.model.ledger_entry import UNDONE, Entry
from passerelle.names import ARTIFACT_DIGEST, GOLDEN_ORIGIN, PREVIOUS, ModelVersionRef
from passerelle.registry import ledger as ledgers
from passerelle.registry.anchors import confirm, publish
from passerelle.registry.chain import standing_entry
from passerelle.registry.client import ARCHIVED_STAGE, PRODUCTION_STAGE, Registry
from passerelle.registry.verified import VerifiedLedger, append, verified_ledger
from passerelle.settings import SigningSettings


@dataclass(frozen=True)
class Standing:
    """The state of alias and stage.

    Attributes:
        production: The version that holds the alias, if one does.
        previous: The version that a rollback goes to, if there is one.
        stages: The stage of each version.
        golden_origins: Of each adopted version: where the inputs of its golden predictions come from.
        identities: The run of each version, and the digest of its files: a number alone names no version for ever.
    """

    production: int | None
    previous: int | None
    stages: Mapping[int, str]
    golden_origins: Mapping[int, str] = field(default_factory=dict)
    identities: Mapping[int, tuple[str, str]] = field(default_factory=dict, compare=False)


def standing(registry: Registry, registered_model: str) -> Standing:
    """Return the state of alias and stage."""
    aliases = registry.aliases(registered_model)
    versions = registry.versions(registered_model)
    stages = {info.ref.version: info.stage for info in versions}
    origins = {info.ref.version: info.tags[GOLDEN_ORIGIN] for info in versions if GOLDEN_ORIGIN in info.tags}
    identities = {info.ref.version: (info.ref.run_id, info.tags.get(ARTIFACT_DIGEST, "")) for info in versions}
    return Standing(aliases.get(registry.settings.alias), aliases.get(str(PREVIOUS)), stages, origins, identities)


def settled(now: Standing, version: int) -> bool:
    """Return whether alias and stage both say that this version, and no other, is in production."""
    staged = [number for number, stage in now.stages.items() if stage == PRODUCTION_STAGE]
    return now.production == version and staged == [version]


def plan(registry: Registry, ref: ModelVersionRef, now: Standing) -> list[tuple[str, Callable[[], None]]]:
    """Return the steps to put the version into production, each with what it does in words.

    The order lets no observer see the alias point to nothing: `previous` is set while the former version still answers,
    the alias is overwritten and never deleted, and the former version leaves the stage last.
    """
    name = ref.registered_model
    steps: list[tuple[str, Callable[[], None]]] = []
    if now.production is not None and now.production != ref.version:
        former = ModelVersionRef(name, now.production, "")
        steps.append((f"alias {PREVIOUS} → version {former.version}", lambda: registry.set_alias(former, str(PREVIOUS))))
    if now.production != ref.version:
        steps.append((f"alias {registry.settings.alias} → version {ref.version}", lambda: registry.set_alias(ref, registry.settings.alias)))
    if now.stages.get(ref.version) != PRODUCTION_STAGE:
        steps.append((f"stage {PRODUCTION_STAGE} ← version {ref.version}", lambda: registry.set_stage(ref, PRODUCTION_STAGE)))
    for number, stage in sorted(now.stages.items()):
        if stage == PRODUCTION_STAGE and number != ref.version:
            other = ModelVersionRef(name, number, "")
            steps.append((f"stage {ARCHIVED_STAGE} ← version {number}", lambda other=other: registry.set_stage(other, ARCHIVED_STAGE)))  # type: ignore[misc]
    return steps


def carry_out(
    registry: Registry,
    ref: ModelVersionRef,
    now: Standing,
    entry: Entry,
    *,
    ledger: VerifiedLedger,
    signing: SigningSettings | None,
    check_lock: Callable[[], None],
) -> Entry:
    """Write the ledger and carry out the plan; return the entry as it was written.

    Args:
        ledger: As it was verified under the lock.
        check_lock: Raises once the lock was lost; called before each step.

    Raises:
        BusyError: Somebody else wrote the ledger first, or went on because this took too long.
        PasserelleError: A step failed; alias and stage are back where they were, and the ledger says so.
    """
    written = append(registry, ledger, entry, signing, check_lock=check_lock)
    if written is None:
        winner = verified_ledger(registry, ref.registered_model, signing).last
        did = f"{winner.what} of version {winner.to_version} by {winner.who} at {winner.when[:19]}" if winner else "unknown"
        raise BusyError(f"the ledger has a new entry, {did}", hint="passerelle status")
    try:
        check_lock()
        publish(registry, written)
        confirm(registry, written)
        for _, step in plan(registry, ref, now):
            check_lock()
            step()
    except BaseException as error:
        if not _lost(check_lock):
            entry = _undone(written, ledger, error)
            _put_back(registry, ref, now, lambda: _note(registry, entry, signing, check_lock), check_lock=check_lock, error=error)
        raise
    return written


def _lost(check_lock: Callable[[], None]) -> bool:
    """Return whether the lock was lost to another promotion, which must not be overwritten."""
    try:
        check_lock()
    except BusyError:
        return True
    except PasserelleError:
        return False
    return False


def _put_back(
    registry: Registry,
    ref: ModelVersionRef,
    then: Standing,
    note: Callable[[], None],
    *,
    check_lock: Callable[[], None],
    error: BaseException,
) -> None:
    """Note it in the ledger, and restore alias and stage.

    If they cannot be restored because the registry is gone, `passerelle status` shows the difference and the command that resolves it.
    """
    name = ref.registered_model
    undo: list[Callable[[], None]] = []
    for alias, version in ((registry.settings.alias, then.production), (str(PREVIOUS), then.previous)):
        if version is None:
            undo.append(lambda alias=alias: registry.delete_alias(name, alias))  # type: ignore[misc]
        else:
            undo.append(lambda alias=alias, version=version: registry.set_alias(ModelVersionRef(name, version, ""), alias))  # type: ignore[misc]
    for number, stage in then.stages.items():
        if stage == PRODUCTION_STAGE or number == ref.version:
            undo.append(lambda number=number, stage=stage: registry.set_stage(ModelVersionRef(name, number, ""), stage))  # type: ignore[misc]
    # The ledger first, as in a promotion: whatever follows the alias finds the entry that explains where it goes.
    for each in (note, *undo):
        if _lost(check_lock):
            return
        try:
            each()
        except PasserelleError as further:
            error.add_note(f"not put back: {further.message}")


def _undone(written: Entry, ledger: VerifiedLedger, error: BaseException) -> Entry:
    """Return the entry that says that the one before was not carried out.

    Args:
        ledger: As it was before that one: it says which version stays in production, whatever somebody moved by hand.
    """
    stays = standing_entry(ledger.entries)
    return Entry(
        number=written.number + 1,
        before=written.digest,
        when=ledgers.now(),
        who=written.who,
        what=UNDONE,
        registered_model=written.registered_model,
        from_version=written.to_version,
        to_version=ledger.in_production or 0,
        run_id=stays.run_id if stays else "",
        artifact_digest=stays.artifact_digest if stays else "",
        reason=f"{written.what} {written.number} failed: {type(error).__name__}",
    )


def _note(registry: Registry, entry: Entry, signing: SigningSettings | None, check_lock: Callable[[], None]) -> None:
    """Write the entry, unless the ledger was changed since; raises IntegrityError then."""
    noted = append(registry, verified_ledger(registry, entry.registered_model, signing), entry, signing, check_lock=check_lock)
    if noted is not None:
        publish(registry, noted)
        confirm(registry, noted)
