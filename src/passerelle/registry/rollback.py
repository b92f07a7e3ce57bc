"""Put the previous version back into production: no training, no download, no gate."""

from __future__ import annotations

from passerelle.errors import NotFoundError
from passerelle.names import PREVIOUS
from passerelle.registry.client import Registry
from passerelle.registry.ledger import Entry, now
from passerelle.registry.promote import Promotion, put_in_production
from passerelle.registry.register import ARTIFACT_DIGEST, TRUSTED_PICKLE


def rollback(registry: Registry, *, who: str, version: int | None = None, reason: str | None = None, dry_run: bool = False) -> Promotion:
    """Put a former version back into production; it becomes `production`, and the one that was becomes `previous`.

    Args:
        version: Where to; by default the version that holds the alias `previous`.

    Raises:
        NotFoundError: No version holds the alias `previous`, or the version that was named does not exist.
        BusyError: Somebody else promotes at this moment; says who.
    """
    name = registry.settings.registered_model
    target = version if version is not None else registry.aliases(name).get(str(PREVIOUS))
    if target is None:
        raise NotFoundError(
            f"« {name} » has no previous version to go back to", hint="passerelle history; then passerelle rollback --version N"
        )
    info = registry.model_version(name, target)
    entry = Entry(
        number=0,
        before="",
        when=now(),
        who=who,
        what="rollback",
        registered_model=name,
        from_version=None,
        to_version=info.ref.version,
        run_id=info.ref.run_id,
        artifact_digest=info.tags.get(ARTIFACT_DIGEST, ""),
        criteria_digest=info.tags.get("passerelle.criteria_digest"),
        reason=reason,
        trusted_pickle=TRUSTED_PICKLE in info.tags,
    )
    return put_in_production(registry, info.ref, entry, dry_run=dry_run)
