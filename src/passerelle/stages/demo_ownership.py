"""Whether the demo may change what is in production: only if nothing is in production, or a version of its own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from passerelle.model.ledger_entry import Entry
from passerelle.names import ARTIFACT_DIGEST, MADE_BY_DEMO
from passerelle.registry.chain import stood
from passerelle.registry.client import PRODUCTION_STAGE, Registry, VersionInfo
from passerelle.registry.production import Standing, standing
from passerelle.registry.verified import VerifiedLedger, verified_ledger
from passerelle.settings import SigningSettings
from passerelle.stages.champion import difference_from

#: In the ledger, of what the demo promoted: the account that ran it is recorded as usual.
REASON = "promoted by the demo"


@dataclass(frozen=True)
class Production:
    """What the demo finds in production.

    Attributes:
        version: That holds the alias, if one does.
        ledger: As it was verified when the demo looked.
        of_others: Who put it there and when, as a sentence; None where the demo may promote.
    """

    version: int | None
    ledger: VerifiedLedger
    of_others: str | None


def found_by_demo(registry: Registry, signing: SigningSettings | None = None) -> Production:
    """Return what is in production, and whether the demo may put its own model there.

    Args:
        signing: What the ledger is verified with.

    Raises:
        IntegrityError: The ledger is broken; says where.
    """
    name = registry.settings.registered_model
    now = standing(registry, name)
    ledger = verified_ledger(registry, name, signing)
    last = next(reversed([*stood(ledger.entries)]), None)
    own = {info.ref.version for info in registry.versions(name) if MADE_BY_DEMO in info.tags and _is_as_promoted(info, last)}
    return Production(now.production, ledger, of_others(ledger.entries, now, own, registry.settings.alias))


def _is_as_promoted(info: VersionInfo, last: Entry | None) -> bool:
    """Return whether the version has the run and the digest that the last entry says, if that is about its number."""
    if last is None or last.to_version != info.ref.version:
        return True
    return difference_from(last, info.ref.run_id, info.tags.get(ARTIFACT_DIGEST, "")) is None


def of_others(entries: Sequence[Entry], now: Standing, own: Collection[int], alias: str) -> str | None:
    """Return who put into production what is there and is not the demo's; None where nothing is there, or what the demo left.

    Args:
        entries: Of the ledger, the oldest first.
        own: Versions that the demo registered.
        alias: Decides which version is in production.
    """
    last = next(reversed([*stood(entries)]), None)
    staged = sorted(version for version, stage in now.stages.items() if stage == PRODUCTION_STAGE)
    if last is None:
        return _without_promotion(now.production, staged, alias)
    if not (last.what == "promote" and last.reason == REASON and last.to_version in own):
        return f"version {last.to_version} was put into production by {last.who} at {last.when[:19]} ({_how(last)})"
    if now.production != last.to_version and not _interrupted(last, now.production, staged):
        holds = f"version {now.production} holds" if now.production else "no version holds"
        return f"{holds} the alias {alias}, moved by hand since the demo promoted version {last.to_version} at {last.when[:19]}"
    foreign = [version for version in staged if version not in {last.to_version, last.from_version}]
    return f"version {foreign[0]} was put into the stage {PRODUCTION_STAGE} by hand" if foreign else None


def _interrupted(last: Entry, production: int | None, staged: Collection[int]) -> bool:
    """Return whether the demo's last promotion was killed before it moved the alias: the stage follows the alias."""
    return production == last.from_version and last.to_version not in staged


def _without_promotion(production: int | None, staged: Collection[int], alias: str) -> str | None:
    if production is not None:
        return f"version {production} holds the alias {alias}, and no promotion put it there"
    return f"version {next(iter(staged))} is in the stage {PRODUCTION_STAGE}, and no promotion put it there" if staged else None


def _how(entry: Entry) -> str:
    return f"{entry.what}: {entry.reason}" if entry.reason else entry.what
