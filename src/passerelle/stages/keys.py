"""API keys of the service: made, listed and revoked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from passerelle.api_keys import DEFAULT_RIGHTS, ApiKey, NewKey, active_key, check_name, make_key, read_keys, revoke_key
from passerelle.settings import ServiceSettings
from passerelle.stages.context import Context, stage


@stage
def path(_: Context) -> Path:
    """Return the file that holds the hashes of the keys."""
    return ServiceSettings.read().keys_file


@stage
def make(
    context: Context, name: str, *, days: int | None = None, rights: Sequence[str] = DEFAULT_RIGHTS, dry_run: bool = False
) -> NewKey | None:
    """Return a new key with its token, of which only the hash is kept; None at a dry run.

    Args:
        days: Until it expires; None for never.
        rights: What it may do: some of `api_keys.RIGHTS`.

    Raises:
        UsageError: There is a key of this name, or the name is not usable.
    """
    if dry_run:
        check_name(path(context), name)
        return None
    return make_key(path(context), name, days=days, rights=rights)


@stage
def listed(context: Context) -> Sequence[ApiKey]:
    """Return all keys, without their secrets."""
    return read_keys(path(context))


@stage
def revoke(context: Context, name_or_id: str, *, dry_run: bool = False) -> ApiKey:
    """Revoke a key and return it; a running service refuses it within a second.

    Raises:
        NotFoundError: There is no such key.
    """
    return active_key(path(context), name_or_id) if dry_run else revoke_key(path(context), name_or_id)
