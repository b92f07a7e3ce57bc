"""Put a version back that was in production before: no training, no download, no gate."""

from __future__ import annotations

from collections.abc import Iterable

from passerelle.errors import IntegrityError, NotFoundError, RefusedError
from passerelle.names import PREVIOUS
from passerelle.registry.client import Registry, VersionInfo
from passerelle.registry.ledger import Entry, Ledger, now
from passerelle.registry.promote import Promotion, put_in_production
from passerelle.registry.register import ARTIFACT_DIGEST, TRUSTED_PICKLE


def rollback(
    registry: Registry, *, who: str, version: int | None = None, reason: str | None = None, development: bool = True, dry_run: bool = False
) -> Promotion:
    """Put a former version back into production; it becomes `production`, and the one that was becomes `previous`.

    Only what the gate let through once: the ledger must say that the version was in production, with the same files.

    Args:
        version: Where to; by default the version that holds the alias `previous`.
        development: Whether a pickle that was trusted may go into production here.

    Raises:
        NotFoundError: No version holds the alias `previous`, or the version that was named does not exist.
        RefusedError: The version was never in production, or is a pickle that was trusted in development.
        IntegrityError: Its digest is not the one that it was in production with.
        BusyError: Somebody else promotes at this moment; says who.
    """
    name = registry.settings.registered_model
    target = version if version is not None else registry.aliases(name).get(str(PREVIOUS))
    if target is None:
        raise NotFoundError(
            f"« {name} » has no previous version to go back to", hint="passerelle history; then passerelle rollback --version N"
        )
    info = registry.model_version(name, target)
    _check_was_there(info, Ledger(registry.objects, name).newest_first())
    if TRUSTED_PICKLE in info.tags and not development:
        raise RefusedError(
            f"{info.ref} is a pickle that was trusted in development", hint="passerelle history; passerelle rollback --version N"
        )
    return put_in_production(registry, info.ref, _entry(info, who, reason), dry_run=dry_run)


def _entry(info: VersionInfo, who: str, reason: str | None) -> Entry:
    return Entry(
        number=0,
        before="",
        when=now(),
        who=who,
        what="rollback",
        registered_model=info.ref.registered_model,
        from_version=None,
        to_version=info.ref.version,
        run_id=info.ref.run_id,
        artifact_digest=info.tags.get(ARTIFACT_DIGEST, ""),
        criteria_digest=info.tags.get("passerelle.criteria_digest"),
        reason=reason,
        trusted_pickle=TRUSTED_PICKLE in info.tags,
    )


def _check_was_there(info: VersionInfo, newest_first: Iterable[Entry]) -> None:
    """Return when the version was in production as it is now; what came last is looked at first, as that is where most go back to."""
    number, digest = info.ref.version, info.tags.get(ARTIFACT_DIGEST, "")
    undone, was_there = -1, False
    for entry in newest_first:
        if entry.what == "undone":
            undone = entry.number - 1
        elif entry.to_version == number and entry.number != undone:
            if (entry.artifact_digest, entry.run_id) == (digest, info.ref.run_id):
                return
            was_there = True
    if not was_there:
        message = f"{info.ref} was never in production, and a rollback does not ask the gate"
        raise RefusedError(message, hint=f"passerelle promote --version {number}")
    message = f"{info.ref} does not have the digest that it was in production with: somebody changed it"
    raise IntegrityError(message, hint="passerelle history --verify; passerelle rollback --version N")
